import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import {
  brokenProtocol,
  endOfSocket,
  goneAway,
  INVALID_PREFACE,
  TOO_MANY_CONTINUATIONS,
} from '../connection-ends.js';

/** What nghttp2 calls its errors (nghttp2.h, `nghttp2_error`), as the codes that it puts into GOAWAY. */
const CODE_OF_NGHTTP2: Readonly<Record<number, number>> = {
  [-505]: ErrorCode.PROTOCOL_ERROR,
  [-510]: ErrorCode.STREAM_CLOSED,
  [-522]: ErrorCode.FRAME_SIZE_ERROR,
  [-523]: ErrorCode.COMPRESSION_ERROR,
  [-524]: ErrorCode.FLOW_CONTROL_ERROR,
  [-538]: ErrorCode.ENHANCE_YOUR_CALM,
  // Out of memory, and a callback that failed.
  [-901]: ErrorCode.INTERNAL_ERROR,
  [-902]: ErrorCode.INTERNAL_ERROR,
  [-904]: ErrorCode.ENHANCE_YOUR_CALM,
};

/** Those of which it is known what the peer has done. */
const KNOWN_NGHTTP2: Readonly<Record<number, ConnectionEnd>> = {
  [-903]: brokenProtocol(ErrorCode.PROTOCOL_ERROR, INVALID_PREFACE, 'not_http2'),
  [-905]: brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, TOO_MANY_CONTINUATIONS),
};

/** What becomes of a peer whose session node:http2 has ended without a word (NODE-HTTP2.md, "Zombie sessions"). */
export const ENDED_SILENTLY: ConnectionEnd = brokenProtocol(
  ErrorCode.PROTOCOL_ERROR,
  'node:http2 ended the session over what the peer sent',
);

/**
 * What an error that ended a session, or its socket, means.
 *
 * @param isConnected whether TCP and TLS had been established before
 */
export function endOfError(error: NodeJS.ErrnoException | undefined, isConnected: boolean): ConnectionEnd {
  const code = error?.code ?? '';
  if (error === undefined || !code.startsWith('ERR_HTTP2_')) return endOfSocket(error, isConnected);
  if (code === 'ERR_HTTP2_SESSION_ERROR') {
    // "Session closed with error code N": the peer's GOAWAY, when nobody listened for it.
    return { ...goneAway(Number(/\d+/.exec(error.message)?.[0] ?? 0), undefined, undefined), error };
  }
  if (code === 'ERR_HTTP2_ERROR' || code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES') {
    const { errno = 0, message } = error;
    const known = KNOWN_NGHTTP2[errno];
    if (known !== undefined) return { ...known, error };
    const ofGoaway = CODE_OF_NGHTTP2[errno] ?? ErrorCode.PROTOCOL_ERROR;
    return { ...brokenProtocol(ofGoaway, `node:http2 reports "${message}"`), error };
  }
  return { ...brokenProtocol(ErrorCode.INTERNAL_ERROR, `node:http2 failed (${code})`), error };
}
