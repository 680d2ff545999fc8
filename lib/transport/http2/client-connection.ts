import type { ClientHttp2Session, Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Bucket } from '../../port/bucket.js';
import type { ConnectionOwner } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import type { Stream } from '../../port/stream.js';
import { CLOSED_HERE, connectTimeout } from '../connection-ends.js';
import type { DialerOptions } from '../options.js';
import type { Watchdog } from '../watchdog.js';
import type { Dial } from './backend-agent.js';
import type { Carrier } from './carrier.js';
import { Connection } from './connection.js';
import { destroySession } from './destroy-session.js';
import { beforeSettings, endOfError } from './session-end.js';
import { SessionWatch } from './session-watch.js';
import { closeWith } from './stream.js';

/** The part of the resets that the peer may be sent which is kept for the streams that run when no more are opened. */
const RESERVE = 0.2;

/** A connection that a dialer makes. */
export class Http2ClientConnection extends Connection implements Dial {
  readonly #options: DialerOptions;
  readonly #watchdog: Watchdog;
  readonly #timer: NodeJS.Timeout;
  /** What the peer may be sent in RST_STREAM frames. */
  readonly #resets: Bucket;
  /** Streams that the peer would be told the end of, if it had not had enough of that. */
  #withheld: { readonly node: Http2Stream; readonly code: number }[] = [];
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
    this.#resets = new Bucket(options.limits.resets);
    this.#watchdog = watchdog;
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
    const { stallTimeoutMilliseconds, keepalive } = this.#options.limits;
    const carrier = this.open(session, this.#socket!, stallTimeoutMilliseconds);
    // Calls may wait for a peer that allows no streams.
    const isNeeded = (): boolean => carrier.streamCount > 0 || this.maxConcurrentStreams === 0;
    const watch = new SessionWatch(carrier, keepalive, isNeeded, () => this.#sendWithheld());
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

  /**
   * Common servers end a session that resets many of its streams, with all that runs on it ("rapid reset",
   * CVE-2023-44487), whoever it was that wanted them reset. So it is left for new streams before that, and what is too
   * much is not sent: the peer hears of it by the session's end.
   */
  override takeReset(): boolean {
    const isTaken = this.#withheld.length === 0 && this.#resets.take();
    if (this.#resets.isBelow(RESERVE) && this.carrier !== undefined) {
      this.carrier.closesHere = true;
      this.leave(true);
    }
    return isTaken;
  }

  override onResetWithheld(node: Http2Stream, code: number): void {
    this.#withheld.push({ node, code });
  }

  #sendWithheld(): void {
    while (this.#withheld.length > 0 && this.#resets.take()) {
      const { node, code } = this.#withheld.shift()!;
      node.resume();
      closeWith(node, code);
    }
  }

  #close({ session, socket }: Carrier): void {
    // Somebody waits for it: the process must not end before the connection has.
    session.ref();
    // It would wait for streams that nobody else waits for.
    if (this.#withheld.length > 0) destroySession(session, socket);
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
    else this.ended(this.#givenUp ?? beforeSettings(endOfError(this.#error, this.#isConnected)));
  }
}
