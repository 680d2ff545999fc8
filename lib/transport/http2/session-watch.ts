import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { NOT_ALIVE } from '../connection-ends.js';
import { Keepalive } from '../keepalive.js';
import type { KeepaliveTimes, TransportLimits } from '../limits.js';
import { type Checked, Watchdog } from '../watchdog.js';
import type { Carrier } from './carrier.js';
import { destroySession } from './destroy-session.js';
import { nodeIsAtLeast } from './node-version.js';
import { ENDED_SILENTLY } from './session-end.js';

/**
 * How often sessions are looked at, in milliseconds. One that Node has silently ended is found at the second look after
 * that, if not at the first, and calls should not wait for a second; one that closes has until the second look for its
 * peer's FIN, and should be gone within a second.
 */
const CHECK_INTERVAL = 400;

/** How long a probe has to leave, which it does in the same turn; in milliseconds. */
const PROBE_TIME = 20;

/** Probes that a peer has not acknowledged: Node ends a session with ten SETTINGS on their way. */
const MAX_PROBES = 4;

const UNKNOWN = -1;

/** One timer for the sessions of a dialer or a server. */
export function sessionWatchdog(limits: TransportLimits): Watchdog {
  return new Watchdog(limits, CHECK_INTERVAL);
}

/** How long a session that has closed may take for what is still to be written, in milliseconds. */
const FLUSH_TIME = 5000;

/**
 * Whether this Node can end a session without a word (NODE-HTTP2.md, "Zombie sessions"). Those that are known not to
 * need no probes.
 */
const hasZombies = !(
  nodeIsAtLeast(26, 10) ||
  (nodeIsAtLeast(24, 21) && !nodeIsAtLeast(25, 0)) ||
  (nodeIsAtLeast(22, 23) && !nodeIsAtLeast(23, 0))
);

/**
 * Finds out that a session has ended although Node does not say so, and ends it. It can hang in four ways: the peer is
 * gone without a FIN; it stands still; it broke the protocol, upon which Node sends GOAWAY and does nothing more; or
 * Node has destroyed the session and waits for its socket, for ever.
 */
export class SessionWatch implements Checked {
  readonly #carrier: Carrier;
  readonly #keepalive: Keepalive;
  readonly #isNeeded: () => boolean;
  readonly #onLook: () => void;
  #bytesRead = 0;
  /** What had been written when output was found blocked; undefined if it wasn't. */
  #blockedAt: number | undefined;
  /** `bytesRead` when the session was last known to live: it can only have been ended by what came after. */
  #livedAt = UNKNOWN;
  /** How many probes have not been acknowledged. */
  #probes = 0;
  /** The peer has sent a PING since this was looked at last. */
  #isPinged = false;
  /** A PING, or SETTINGS, are under way. */
  #isAsked = false;
  /** `bytesRead` when such was answered last: what has come since may be the beginning of a frame. */
  #wholeAt = 0;
  readonly #frameTimeout: number;
  /** When the session was first seen closed. */
  #endingSince: number | undefined;

  /**
   * @param isNeeded whether anything depends on the peer; if not, it may be silent for ever
   * @param onLook called with every look
   * @param frameTimeout how long after its last octet the peer is asked whether that was the last of a frame: Node does
   *   not say, and inside of one nobody can answer
   */
  constructor(
    carrier: Carrier,
    times: KeepaliveTimes,
    isNeeded: () => boolean,
    onLook: () => void = () => {},
    frameTimeout = Infinity,
  ) {
    this.#onLook = onLook;
    this.#frameTimeout = frameTimeout;
    this.#carrier = carrier;
    this.#keepalive = new Keepalive(times);
    this.#isNeeded = isNeeded;
    // Its frames are the only ones that show neither here nor at a stream.
    carrier.session.on('ping', () => {
      this.#isPinged = true;
    });
  }

  check(now: number): void {
    const { session, socket } = this.#carrier;
    if (session.destroyed || (session.closed && this.#carrier.streamCount === 0)) {
      this.#checkEnd(session, socket, now);
      return;
    }
    if (this.#carrier.heard) this.#keepalive.active = true;
    const heard = this.#carrier.heard || this.#isPinged;
    this.#carrier.heard = false;
    this.#isPinged = false;
    this.#carrier.checkStreams(now);
    this.#onLook();
    if (heard || socket.bytesRead !== this.#bytesRead || this.#hasOutputMoved(session, socket)) {
      this.#keepalive.heard = true;
      this.#isAsked = false;
    }
    this.#bytesRead = socket.bytesRead;
    if (hasZombies) {
      if (heard) this.#livedAt = UNKNOWN;
      else if (socket.bytesRead !== this.#livedAt && this.#probes < MAX_PROBES && this.#isNeeded()) {
        this.#probe(session, socket);
      }
    }
    const soon = socket.bytesRead === this.#wholeAt ? Infinity : this.#frameTimeout;
    const verdict = this.#keepalive.check(now, this.#isNeeded(), soon);
    if (verdict === 'dead') this.#end(NOT_ALIVE);
    else if (verdict !== 'alive') this.#ask(session, verdict);
  }

  #end(end: ConnectionEnd): void {
    this.#carrier.decideEnd(end);
    destroySession(this.#carrier.session, this.#carrier.socket);
  }

  /** Nothing runs any more. What is left to write has its time; then the peer's FIN is waited for until the next look. */
  #checkEnd(session: Http2Session, socket: Socket, now: number): void {
    if (this.#endingSince === undefined) this.#endingSince = now;
    else if (socket.writableFinished || now - this.#endingSince >= FLUSH_TIME) {
      session.destroy();
      socket.destroy();
    }
  }

  #ask(session: Http2Session, by: 'ping' | 'settings'): void {
    this.#isAsked = true;
    const onAnswer = (error: Error | null): void => {
      if (error === null) this.#wholeAt = this.#carrier.socket.bytesRead;
    };
    // Node sends no PING on a session that is closing.
    if (by === 'ping' && !session.closed) session.ping(onAnswer);
    else session.settings({}, onAnswer);
  }

  /** The peer is slow, not dead: what was stuck, the question with it, has begun to go out. */
  #hasOutputMoved(session: Http2Session, socket: Socket): boolean {
    if (!this.#isAsked) return false;
    const hasMoved = this.#blockedAt !== undefined && socket.bytesWritten !== this.#blockedAt;
    const { outboundQueueSize = 0 } = session.state;
    this.#blockedAt = outboundQueueSize > 0 ? socket.bytesWritten : undefined;
    return hasMoved;
  }

  /**
   * Asks nghttp2, not the peer: SETTINGS leave at once as long as it has not ended the session, unless output is
   * blocked. Once it has, it writes and reads nothing. Only what has been received can make it do so, hence there is
   * one probe in each silence, and one more where something other than the acknowledgement has come since.
   */
  #probe(session: Http2Session, socket: Socket): void {
    const { bytesRead, bytesWritten } = socket;
    this.#livedAt = bytesRead;
    this.#probes++;
    session.settings({}, () => {
      this.#probes--;
      this.#livedAt = socket.bytesRead;
    });
    setTimeout(() => {
      if (session.destroyed || socket.bytesWritten !== bytesWritten || socket.bytesRead !== bytesRead) return;
      if (!isBlocked(socket)) this.#end(ENDED_SILENTLY);
    }, PROBE_TIME).unref();
  }
}

/**
 * Whether something waits for the socket to take it. Node has no public sign for what an HTTP/2 session writes; this
 * one is only looked at on versions that will not change any more.
 */
function isBlocked(socket: Socket): boolean {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly writeQueueSize?: number } };
  return handle?.writeQueueSize !== 0;
}
