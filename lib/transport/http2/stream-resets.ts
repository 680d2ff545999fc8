import type { Http2Stream } from 'node:http2';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { StreamReset } from '../../port/stream.js';
import { PINGED_BACKEND_TOO_OFTEN } from '../connection-ends.js';
import type { Carrier } from './carrier.js';

/** A request that nothing was sent of. */
export function neverSent(failure: string | undefined): StreamReset {
  const text =
    failure === 'ERR_HTTP2_OUT_OF_STREAMS'
      ? 'the connection has no stream identifier left'
      : 'the connection closed before the request was sent';
  return { code: ErrorCode.REFUSED_STREAM, by: 'local', text, lost: undefined, isUnsent: true };
}

/** A stream whose session has ended so. */
function lostWith(lost: ConnectionEnd): StreamReset {
  const byPeer = ['closed', 'reset', 'goaway'].includes(lost.cause) || lost === PINGED_BACKEND_TOO_OFTEN;
  return { code: ErrorCode.CANCEL, by: byPeer ? 'peer' : 'local', text: undefined, lost };
}

/**
 * Why a node stream has closed before its time.
 *
 * @param failure the error that ended it
 * @param isUnsent its session was lost before its HEADERS were sent, for certain
 */
export function whyClosed(
  node: Http2Stream,
  carrier: Carrier,
  failure: NodeJS.ErrnoException | undefined,
  isUnsent: boolean,
): StreamReset {
  const { session } = carrier;
  const code = node.rstCode ?? ErrorCode.CANCEL;
  if (node.id === undefined) return neverSent(failure?.code);
  if (isUnsent) return { ...lostWith(carrier.end), isUnsent: true };
  if (code === ErrorCode.REFUSED_STREAM || (session.destroyed && carrier.wasRefused(node.id))) {
    return { code: ErrorCode.REFUSED_STREAM, by: 'peer', text: undefined, lost: undefined };
  }
  // A session that failed gives its streams its own error and some code; a reset has the stream's own.
  const failed = failure?.code !== undefined && failure.code !== 'ERR_HTTP2_STREAM_ERROR';
  const isSessions = failed || code === ErrorCode.NO_ERROR || code === ErrorCode.CANCEL;
  if (session.destroyed && (isSessions || carrier.wasEndedBy(code))) {
    return lostWith(carrier.end);
  }
  if (failed) return { code, by: 'local', text: failure.message, lost: undefined };
  return { code, by: 'peer', text: undefined, lost: undefined };
}

/**
 * Whether a stream that has no more to read, nor trailers, has received END_STREAM, and not RST_STREAM(NO_ERROR). Node
 * adds a listener for its `end` upon the one as upon the other, and upon END_STREAM with which the stream closes, both.
 */
export function hasEndStream(node: Http2Stream): boolean {
  return !node.closed || (!node.aborted && node.listenerCount('end') > 1);
}

/**
 * `close(code)` ends the stream's writable side first, and so sends END_STREAM before RST_STREAM: a backend may
 * commit half a request (NODE-HTTP2.md, "Resets"). `waitForTrailers` keeps it from that, too, but costs every call more
 * than it costs this one.
 */
export function closeWith(node: Http2Stream, code: number): void {
  if (node.closed) {
    // By the peer, with NO_ERROR: else it would be destroyed already.
    node.destroy();
    return;
  }
  if (!node.writableEnded) node.end = endNothing;
  node.close(code);
}

function endNothing<S>(this: S): S {
  return this;
}

/**
 * Destroys a stream that its peer has reset. Not at once: its events come from inside of nghttp2, which is about to free
 * the stream, and frees it twice if it is made to send something meanwhile (NODE-HTTP2.md, "Resets").
 */
export function destroyLater(node: Http2Stream): void {
  setImmediate(destroy, node);
}

function destroy(node: Http2Stream): void {
  node.destroy();
}
