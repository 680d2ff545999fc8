import http2, { type ClientHttp2Session } from 'node:http2';
import type { ConnectionOwner } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { Stream } from '../../port/stream.js';
import { CLOSED_HERE } from '../connection-ends.js';
import { DEFAULT_DIAL_LIMITS } from '../limits.js';
import { type Carrier, socketOf } from './carrier.js';
import type { NodeClientStream } from './client-stream.js';
import { Connection } from './connection.js';
import { endOfError } from './session-end.js';

const SESSION_CLOSED: ConnectionEnd = {
  cause: 'closed',
  code: ErrorCode.NO_ERROR,
  text: 'the HTTP/2 session is closed',
  error: undefined,
};

/** Whether a value is a session that `http2.connect()` has made, of this copy of Node's module. */
export function isClientHttp2Session(value: unknown): value is ClientHttp2Session {
  // The class is not exported. A server's session has no `request`, and nothing else has a session's `type`.
  if (typeof value !== 'object' || value === null) return false;
  const session = value as Partial<ClientHttp2Session>;
  return session.type === http2.constants.NGHTTP2_SESSION_CLIENT && typeof session.request === 'function';
}

/**
 * A connection whose session somebody else has connected, and will close. It takes streams while that is open;
 * node:http2 queues those above the peer's SETTINGS_MAX_CONCURRENT_STREAMS. Neither `shutDown` nor `destroy` closes the
 * session: they only end this side's use of it.
 */
export class SessionConnection extends Connection {
  readonly #streams = new Set<NodeClientStream>();
  #isShutDown = false;

  /** @param unusable why the session takes no streams any more, if that is known */
  constructor(session: ClientHttp2Session, owner: ConnectionOwner, unusable: ConnectionEnd | undefined) {
    super(owner, Infinity);
    const end = session.destroyed || session.closed ? SESSION_CLOSED : unusable;
    if (end !== undefined) {
      setImmediate(() => this.ended(end));
      return;
    }
    const socket = socketOf(session);
    let error: Error | undefined;
    socket.once('error', (first) => {
      error = first;
    });
    // The session's `close` may never come (NODE-HTTP2.md, "The end of a connection").
    socket.once('close', () => this.ended(this.carrier?.end ?? endOfError(error, false)));
    const begin = (): void => {
      if (this.phase !== 'connecting') return;
      this.open(session, socket, DEFAULT_DIAL_LIMITS.stallTimeoutMilliseconds);
      this.owner.onReady();
    };
    // Before, it does not even know whether it is encrypted.
    if (session.connecting) session.once('connect', begin);
    else setImmediate(begin);
  }

  override get hasRoom(): boolean {
    return this.isOpen;
  }

  shutDown(): void {
    if (this.phase === 'over') return;
    this.phase = 'leaving';
    this.#isShutDown = true;
    if (this.streamCount === 0) setImmediate(() => this.ended(CLOSED_HERE));
  }

  destroy(): void {
    if (this.phase === 'over') return;
    this.phase = 'over';
    for (const stream of this.#streams) {
      stream.endSoon({ code: ErrorCode.CANCEL, by: 'local', text: undefined, lost: CLOSED_HERE });
    }
    // Behind what the streams are told.
    setImmediate(() => this.ended(CLOSED_HERE));
  }

  override onStreamEnded(stream: Stream): void {
    this.#streams.delete(stream as NodeClientStream);
    super.onStreamEnded(stream);
    if (this.#isShutDown && this.streamCount === 0) this.ended(CLOSED_HERE);
  }

  /** It is its owner's, who may have requests of his own on it. */
  protected override holdProcess(): void {}

  protected override createStream(carrier: Carrier): NodeClientStream {
    const stream = super.createStream(carrier);
    this.#streams.add(stream);
    return stream;
  }
}
