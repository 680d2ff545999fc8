import type { Http2Session, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { CLOSED_HERE } from '../connection-ends.js';
import { CONNECTION_WINDOW, type KeepaliveTimes, type TransportLimits } from '../limits.js';
import type { Checked } from '../watchdog.js';
import { Carrier, type CarrierOwner, socketOf } from './carrier.js';
import { destroySession } from './destroy-session.js';
import { SessionWatch } from './session-watch.js';

/** A client's connection, from the moment that TCP is accepted. */
export class ServerConnection implements Checked, CarrierOwner {
  readonly #socket: Socket;
  readonly #limits: TransportLimits;
  readonly #keepalive: KeepaliveTimes;
  readonly #acceptedAt = performance.now();
  #carrier: Carrier | undefined;
  #watch: SessionWatch | undefined;
  /** The client's SETTINGS have come. */
  #isReady = false;
  #isClosing = false;
  #idleSince: number | undefined;

  /** @param socket TCP's, also below TLS */
  constructor(socket: Socket, limits: TransportLimits, keepalive: KeepaliveTimes) {
    this.#socket = socket;
    this.#limits = limits;
    this.#keepalive = keepalive;
  }

  /** TLS, if there is any, is done, and Node has begun the session. */
  begin(session: ServerHttp2Session): Carrier {
    const carrier = new Carrier(session, socketOf(session), this);
    this.#carrier = carrier;
    // A client that is silent for long must be there all the same, also when nothing runs.
    this.#watch = new SessionWatch(carrier, this.#keepalive, () => true);
    session.once('remoteSettings', () => {
      this.#isReady = true;
    });
    session.setLocalWindowSize(CONNECTION_WINDOW);
    // It was in the TLS handshake when the server closed.
    if (this.#isClosing) this.shutDown();
    return carrier;
  }

  /** GOAWAY; it closes once its streams have ended. */
  shutDown(): void {
    this.#isClosing = true;
    if (this.#carrier === undefined) {
      // There is no call that it could carry, nor would it be told of the end: it may never finish its handshake.
      this.#socket.destroy();
      return;
    }
    this.#carrier.closesHere = true;
    // One GOAWAY, not the two that RFC 9113 section 6.8 advises: nghttp2 takes no new streams after the first
    // anyhow, so that a call on its way would only hear later that it has been refused.
    this.#carrier.session.close();
  }

  destroy(): void {
    this.#isClosing = true;
    if (this.#carrier === undefined) {
      this.#socket.destroy();
    } else {
      this.#carrier.decideEnd(CLOSED_HERE);
      destroySession(this.#carrier.session, this.#socket);
    }
  }

  check(now: number): void {
    const { handshakeTimeoutMilliseconds, idleTimeoutMilliseconds } = this.#limits;
    if (!this.#isReady && now - this.#acceptedAt >= handshakeTimeoutMilliseconds) {
      this.destroy();
      return;
    }
    this.#watch?.check(now);
    if (idleTimeoutMilliseconds > 0 && !this.#isClosing && this.#isReady) {
      if (this.#carrier?.streamCount !== 0) this.#idleSince = undefined;
      else if (this.#idleSince === undefined) this.#idleSince = now;
      else if (now - this.#idleSince >= idleTimeoutMilliseconds) this.shutDown();
    }
  }

  onStreamEnded(): void {}
  onOutOfStreams(): void {}
  onGoaway(): void {}
}

/** The socket that a session's TCP connection came in by: below TLS, another one than the session's. */
export function acceptedSocketOf(session: Http2Session): Socket {
  const socket = socketOf(session);
  // Node has no public way from a TLS socket to what it was made of.
  return (socket as Socket & { readonly _parent?: Socket | null })._parent ?? socket;
}
