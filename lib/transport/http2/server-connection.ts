import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { Account } from '../../port/account.js';
import type { StreamAcceptor } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import { ConnectionAge } from '../connection-age.js';
import {
  CLOSED_HERE,
  NO_SETTINGS,
  OVERDRAWN,
  PINGED_TOO_OFTEN,
  TOO_MANY_PINGS,
  TOO_OLD,
} from '../connection-ends.js';
import { ConnectionUse } from '../connection-use.js';
import { CONNECTION_WINDOW, type ServerLimits } from '../limits.js';
import { PingStrikes } from '../ping-strikes.js';
import type { Checked } from '../watchdog.js';
import { Carrier, type CarrierOwner, socketOf } from './carrier.js';
import { destroySession } from './destroy-session.js';
import { SessionWatch } from './session-watch.js';

/**
 * More than is written between two PINGs for the one before and for this side's own probes. What is beyond is DATA that
 * has waited: Node does not tell when it goes out.
 */
const CONTROL_BYTES = 64;

/** A client's connection, from the moment that TCP is accepted. */
export class ServerConnection implements Checked, CarrierOwner {
  readonly #socket: Socket;
  readonly #limits: ServerLimits;
  readonly #acceptor: StreamAcceptor;
  readonly #age: ConnectionAge;
  readonly #use: ConnectionUse;
  /** Undefined also once it has been ended by them. */
  #pingStrikes: PingStrikes | undefined;
  /** `bytesWritten` when a PING came last. */
  #writtenAtPing = 0;
  readonly #acceptedAt = performance.now();
  #carrier: Carrier | undefined;
  #watch: SessionWatch | undefined;
  /** The client's SETTINGS have come. */
  #isReady = false;
  #isClosing = false;
  /** The client is refused, and that has been told. */
  #isRefused = false;

  /** @param socket TCP's, also below TLS */
  constructor(socket: Socket, limits: ServerLimits, acceptor: StreamAcceptor) {
    this.#socket = socket;
    this.#acceptor = acceptor;
    this.#limits = limits;
    this.#pingStrikes = PingStrikes.of(limits.permitKeepalive);
    this.#age = new ConnectionAge(limits);
    this.#use = new ConnectionUse(limits.idleTimeoutMilliseconds);
  }

  /** TLS, if there is any, is done, and Node has begun the session. */
  begin(session: ServerHttp2Session): Carrier {
    const account = new Account(this.#limits, (by) => this.#end(OVERDRAWN[by]));
    const { stallTimeoutMilliseconds, frameTimeoutMilliseconds, keepalive } = this.#limits;
    const carrier = new Carrier(session, socketOf(session), this, stallTimeoutMilliseconds, account);
    this.#carrier = carrier;
    // A client that is silent for long must be there all the same, also when nothing runs.
    this.#watch = new SessionWatch(carrier, keepalive, () => true, undefined, frameTimeoutMilliseconds);
    session.once('remoteSettings', () => {
      this.#isReady = true;
    });
    if (this.#pingStrikes !== undefined) session.on('ping', () => this.#onPing(carrier));
    session.setLocalWindowSize(CONNECTION_WINDOW);
    // It was in the TLS handshake when the server closed.
    if (this.#isClosing) this.shutDown();
    return carrier;
  }

  /**
   * GOAWAY; it closes once its streams have ended.
   *
   * @param debug what the client is told as the reason
   */
  shutDown(debug?: string): void {
    if (this.#isClosing && this.#carrier?.closesHere === true) return;
    this.#isClosing = true;
    if (this.#carrier === undefined) {
      // There is no call that it could carry, nor would it be told of the end: it may never finish its handshake.
      this.#socket.destroy();
      return;
    }
    this.#carrier.closesHere = true;
    this.#age.onLastGoaway();
    if (debug !== undefined && !this.#carrier.session.destroyed)
      this.#carrier.session.goaway(ErrorCode.NO_ERROR, undefined, Buffer.from(debug));
    // One GOAWAY, not the two that RFC 9113 section 6.8 advises: nghttp2 takes no new streams after the first
    // anyhow, so that a call on its way would only hear later that it has been refused.
    this.#carrier.session.close();
  }

  destroy(): void {
    this.#end(CLOSED_HERE);
  }

  #onPing(carrier: Carrier): void {
    const strikes = this.#pingStrikes;
    if (strikes === undefined) return;
    const { bytesWritten } = carrier.socket;
    if (carrier.hasSentContent || bytesWritten - this.#writtenAtPing > CONTROL_BYTES) strikes.reset();
    carrier.hasSentContent = false;
    this.#writtenAtPing = bytesWritten;
    if (!strikes.isExceededBy(performance.now(), carrier.streamCount > 0)) return;
    this.#pingStrikes = undefined;
    // Not at once: this comes from inside of nghttp2.
    setImmediate(() => this.#end(PINGED_TOO_OFTEN, TOO_MANY_PINGS));
  }

  /** @param debug what the client is told as the reason */
  #end(end: ConnectionEnd, debug?: string): void {
    this.#isClosing = true;
    if (this.#carrier === undefined) {
      this.tellIfRefused(end);
      this.#socket.destroy();
    } else {
      this.#carrier.decideEnd(end);
      const { session } = this.#carrier;
      if (debug !== undefined && !session.destroyed) session.goaway(end.code, undefined, Buffer.from(debug));
      destroySession(this.#carrier.session, this.#socket, end.code);
    }
  }

  check(now: number): void {
    const { handshakeTimeoutMilliseconds } = this.#limits;
    if (!this.#isReady && now - this.#acceptedAt >= handshakeTimeoutMilliseconds) {
      this.#end(NO_SETTINGS);
      return;
    }
    this.#watch?.check(now);
    // Only its socket lingers.
    if (this.#carrier?.session.destroyed === true) return;
    const age = this.#age.at(now);
    if (age === 'old') this.shutDown('max_age');
    else if (age === 'over') this.#end(TOO_OLD);
    else if (this.#carrier !== undefined && this.#isReady && !this.#isClosing) {
      const { streamCount, openedCount } = this.#carrier;
      if (this.#use.isIdleAt(now, streamCount, openedCount)) this.shutDown('max_idle');
    }
  }

  /** Its socket is closed. */
  onClosed(): void {
    if (this.#carrier === undefined) return;
    this.#carrier.account.close();
    this.tellIfRefused(this.#carrier.end);
  }

  /** Tells of a client whose connection ends so, if it is for what the client did. */
  tellIfRefused({ refusal, text }: ConnectionEnd): void {
    if (refusal === undefined || this.#isRefused) return;
    this.#isRefused = true;
    this.#acceptor.onPeerRefused?.(this.#socket, refusal, text);
  }

  onStreamEnded(): void {}
  onOutOfStreams(): void {}
  onGoaway(): void {}
  onResetWithheld(): void {}

  takeReset(): boolean {
    return true;
  }
}
