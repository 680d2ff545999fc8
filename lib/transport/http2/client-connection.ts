import type { ClientHttp2Session, Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionOwner } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import type { Stream } from '../../port/stream.js';
import { beforeSettings, CLOSED_HERE, connectTimeout, PINGED_BACKEND_TOO_OFTEN } from '../connection-ends.js';
import type { DialKeepaliveTimes } from '../limits.js';
import type { DialerOptions } from '../options.js';
import { ResetBudget } from '../reset-budget.js';
import type { Watchdog } from '../watchdog.js';
import type { Dial } from './backend-agent.js';
import type { Carrier } from './carrier.js';
import { Connection } from './connection.js';
import { destroySession } from './destroy-session.js';
import { endOfError } from './session-end.js';
import { SessionWatch } from './session-watch.js';
import { closeWith } from './stream-resets.js';

/** A connection that a dialer makes. */
export class Http2ClientConnection extends Connection implements Dial {
  readonly #options: DialerOptions;
  readonly #watchdog: Watchdog;
  readonly #keepalive: DialKeepaliveTimes;
  readonly #timer: NodeJS.Timeout;
  /** What the peer may be sent in RST_STREAM frames. */
  readonly #resets: ResetBudget<{ readonly node: Http2Stream; readonly code: number }>;
  #socket: Socket | undefined;
  /** TCP, and TLS if it is used, have been established. */
  #isConnected = false;
  /** What has gone wrong before there was a session. */
  #error: Error | undefined;
  /** Why this side gives up before there is a session. */
  #givenUp: ConnectionEnd | undefined;

  constructor(owner: ConnectionOwner, options: DialerOptions, watchdog: Watchdog) {
    super(owner, options.limits.maxStreamsPerConnection);
    this.#options = options;
    this.#resets = new ResetBudget(options.limits.resets);
    this.#watchdog = watchdog;
    this.#keepalive = options.keepalive.times;
    const { connectTimeoutMilliseconds } = options.limits;
    this.#timer = setTimeout(
      () => this.#giveUp(connectTimeout(connectTimeoutMilliseconds)),
      connectTimeoutMilliseconds,
    );
  }

  shutDown(): void {
    const { carrier } = this;
    if (carrier === undefined) {
      this.destroy();
      return;
    }
    if (this.phase === 'over') return;
    this.phase = 'leaving';
    carrier.closesHere = true;
    if (carrier.streamCount === 0) this.#close(carrier);
  }

  destroy(): void {
    const { carrier } = this;
    if (carrier === undefined) {
      this.#giveUp(CLOSED_HERE);
      return;
    }
    this.phase = 'over';
    carrier.decideEnd(CLOSED_HERE);
    destroySession(carrier.session, carrier.socket);
  }

  override onStreamEnded(stream: Stream): void {
    super.onStreamEnded(stream);
    // Not before: nghttp2 drops the HEADERS of requests that it has not sent when it sends GOAWAY.
    const { carrier } = this;
    if (carrier?.closesHere === true && carrier.streamCount === 0) this.#close(carrier);
  }

  onSocket(socket: Socket): void {
    this.#socket = socket;
    socket.once(this.#options.tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#isConnected = true;
    });
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.once('close', () => this.#onClosed());
  }

  onSession(session: ClientHttp2Session): void {
    // It has been given up in the same tick.
    if (this.phase !== 'connecting') {
      session.destroy();
      return;
    }
    clearTimeout(this.#timer);
    const { stallTimeoutMilliseconds } = this.#options.limits;
    const carrier = this.open(session, this.#socket!, stallTimeoutMilliseconds);
    // Calls may wait for a peer that allows no streams.
    const { withoutCalls } = this.#keepalive;
    const isNeeded = (): boolean =>
      carrier.streamCount > 0 || withoutCalls || this.maxConcurrentStreams === 0;
    const watch = new SessionWatch(carrier, this.#keepalive, isNeeded, () => this.#sendWithheld());
    this.#watchdog.add(watch);
    carrier.socket.once('close', () => this.#watchdog.remove(watch));
    session.unref();
    this.owner.onReady();
  }

  onFailure(error: Error): void {
    this.#error ??= error;
    // The socket tells of its own end, if it came to one.
    if (this.#socket === undefined) this.#onClosed();
    else this.#socket.destroy();
  }

  override onGoaway(): void {
    // Before those are told that may make the next connection.
    if (this.carrier?.farewell === PINGED_BACKEND_TOO_OFTEN) {
      this.#options.keepalive.onTooManyPings(this.#keepalive);
    }
    super.onGoaway();
  }

  override onOutOfStreams(): void {
    super.onOutOfStreams();
    // The last stream may have ended before this.
    this.shutDown();
  }

  override takeReset(): boolean {
    const isTaken = this.#resets.take();
    // It is left to the streams that run.
    if (this.#resets.isLow && this.carrier?.closesHere === false) {
      this.carrier.closesHere = true;
      this.owner.onGoingAway(true);
    }
    return isTaken;
  }

  override onResetWithheld(node: Http2Stream, code: number): void {
    this.#resets.withhold({ node, code });
  }

  #sendWithheld(): void {
    for (const { node, code } of this.#resets.due()) {
      node.resume();
      closeWith(node, code);
    }
  }

  #close({ session, socket }: Carrier): void {
    // Somebody waits for it: the process must not end before the connection has.
    session.ref();
    // It would wait for streams that nobody else waits for.
    // Not at once: a stream may be telling of its end from inside of nghttp2.
    if (this.#resets.isWithholding) setImmediate(destroySession, session, socket);
    else session.close();
  }

  #giveUp(end: ConnectionEnd): void {
    if (this.phase !== 'connecting') return;
    this.phase = 'over';
    this.#givenUp = end;
    // Not at once: the Agent is about to make the session, and Node makes none of a socket that is destroyed.
    setImmediate(() => this.#socket?.destroy());
  }

  #onClosed(): void {
    clearTimeout(this.#timer);
    const { carrier } = this;
    if (carrier !== undefined) this.ended(carrier.end);
    else this.ended(this.#givenUp ?? this.#endBeforeSettings());
  }

  #endBeforeSettings(): ConnectionEnd {
    const end = endOfError(this.#error, this.#isConnected);
    return beforeSettings(end, this.#options.tls?.showsCertificate === true);
  }
}
