import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
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

/** A connection that a dialer makes. */
export class Http2ClientConnection extends Connection implements Dial {
  readonly #options: DialerOptions;
  readonly #watchdog: Watchdog;
  readonly #timer: NodeJS.Timeout;
  #socket: Socket | undefined;
  /** TCP, and TLS if it is used, have been established. */
  #isConnected = false;
  /** What has gone wrong before there was a session. */
  #error: Error | undefined;
  /** Why this side gives up before there is a session. */
  #givenUp: ConnectionEnd | undefined;

  constructor(owner: ConnectionOwner, options: DialerOptions, watchdog: Watchdog) {
    super(owner);
    this.#options = options;
    this.#watchdog = watchdog;
    const { connectTimeoutMilliseconds } = options;
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
    const carrier = this.open(session, this.#socket!);
    const watch = new SessionWatch(carrier, this.#options.limits.keepalive, () => carrier.streamCount > 0);
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

  #close({ session }: Carrier): void {
    // Somebody waits for it: the process must not end before the connection has.
    session.ref();
    session.close();
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
