import http2, {
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Account } from '../../port/account.js';
import type { DialAddress, ListenAddress } from '../../port/address.js';
import type { ServerTransport, StreamAcceptor } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { HeaderList } from '../../port/headers.js';
import { speaksHttp2 } from '../connect.js';
import { CLOSED_HERE, endOfHandshake, NO_ALPN, OVERDRAWN, tooManyConnections } from '../connection-ends.js';
import { CONNECTION_WINDOW, STREAM_WINDOW } from '../limits.js';
import { Listeners } from '../listeners.js';
import type { ServerTransportOptions } from '../options.js';
import type { ServerTls } from '../server-tls.js';
import { SOCKET_OPTIONS } from '../socket-options.js';
import { tcpSocketOf } from '../tcp-socket.js';
import type { Watchdog } from '../watchdog.js';
import { Carrier, type CarrierOwner, socketOf } from './carrier.js';
import { destroySession } from './destroy-session.js';
import { toHeaderList } from './fields.js';
import type { NodeHttp2Server } from './node-types.js';
import { ServerConnection } from './server-connection.js';
import { NodeServerStream } from './server-stream.js';
import { serverSessionOptions } from './session-options.js';
import { sessionWatchdog } from './session-watch.js';

const END_STREAM = http2.constants.NGHTTP2_FLAG_END_STREAM;

/** The `stream` event passes the raw header list, which its types leave out, on every version of Node. */
type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/** {@link ServerTransport} on `node:http2`. */
export class Http2ServerTransport implements ServerTransport {
  readonly #acceptor: StreamAcceptor;
  readonly #options: ServerTransportOptions;
  readonly #watchdog: Watchdog;
  readonly #listeners = new Listeners();
  /** By their TCP sockets. */
  readonly #connections = new Map<Socket, ServerConnection>();
  readonly #carriers = new WeakMap<Http2Session, Carrier>();
  /** The streams of attached servers. */
  readonly #attachedStreams = new Set<NodeServerStream>();
  #isClosing = false;
  #closed: Promise<void> | undefined;
  #resolveClosed: (() => void) | undefined;

  constructor(acceptor: StreamAcceptor, options: ServerTransportOptions) {
    this.#acceptor = acceptor;
    this.#options = options;
    this.#watchdog = sessionWatchdog(options.limits);
  }

  listen(address: ListenAddress, signal?: AbortSignal): Promise<DialAddress> {
    return this.#listeners.listen(this.#createServer(), address, signal);
  }

  /**
   * Takes streams of a server that belongs to somebody else, and leaves it the others; without another listener for
   * them it takes all. Closing the server and draining its sessions stay its owner's.
   *
   * @param isOurs whether a stream with such headers is to be taken
   */
  attach(server: NodeHttp2Server, isOurs: (headers: HeaderList) => boolean): void {
    server.on('session', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(CONNECTION_WINDOW);
      session.settings({ initialWindowSize: STREAM_WINDOW });
      this.#attachedCarrier(session);
    });
    // Another listener of `stream`, and compatibility's `request` is one, would answer gRPC calls, too.
    const emit = server.emit.bind(server) as (event: string | symbol, ...values: unknown[]) => boolean;
    const onStream: StreamListener = (stream, headers, flags, rawHeaders) => {
      if (!isOurs(rawHeaders) && server.listenerCount('stream') > 0) {
        emit('stream', stream, headers, flags, rawHeaders);
      } else if (this.#isClosing) {
        // It tells the code that is given here; without a listener it would be thrown.
        stream.on('error', () => {});
        stream.close(ErrorCode.REFUSED_STREAM);
      } else {
        this.#takeStream(stream, headers, flags, rawHeaders);
      }
    };
    server.emit = (event: string | symbol, ...values: unknown[]): boolean => {
      if (event !== 'stream') return emit(event, ...values);
      onStream(...(values as Parameters<StreamListener>));
      return true;
    };
  }

  close(): Promise<void> {
    this.#stopListening();
    this.#closed ??= new Promise((resolve) => {
      this.#resolveClosed = resolve;
      for (const connection of this.#connections.values()) connection.shutDown();
      this.#resolveIfClosed();
    });
    return this.#closed;
  }

  destroy(): void {
    this.#stopListening();
    for (const connection of this.#connections.values()) connection.destroy();
    for (const stream of this.#attachedStreams) {
      stream.endSoon({ code: ErrorCode.CANCEL, by: 'local', text: undefined, lost: CLOSED_HERE });
    }
  }

  #createServer(): NodeHttp2Server {
    const { tls, limits } = this.#options;
    const options = serverSessionOptions(limits);
    const server = tls === undefined ? http2.createServer(options) : this.#createSecureServer(tls, options);
    // Before Node's own listener, which makes a cleartext connection's session, and tells of it.
    server.prependListener('connection', (socket: Socket) => this.#accept(socket));
    server.on('session', (session: ServerHttp2Session) => {
      const carrier = this.#connections.get(tcpSocketOf(socketOf(session)))?.begin(session);
      if (carrier !== undefined) this.#carriers.set(session, carrier);
    });
    server.on('stream', this.#takeStream.bind(this) as StreamListener);
    return server;
  }

  #createSecureServer(tls: ServerTls, options: SecureServerOptions): Http2SecureServer {
    const server = http2.createSecureServer({ ...tls.options, ...options, ALPNProtocols: ['h2'] });
    tls.add(server);
    // Node answers and closes what does not speak HTTP/2, and what fails.
    server.on('secureConnection', (socket: TLSSocket) => {
      if (!speaksHttp2(socket)) this.#connections.get(tcpSocketOf(socket))?.tellIfRefused(NO_ALPN);
    });
    server.on('tlsClientError', (error, socket) =>
      this.#tell(tcpSocketOf(socket), endOfHandshake(error, socket)),
    );
    return server;
  }

  #accept(socket: Socket): void {
    const { limits } = this.#options;
    // It was in the accept queue when the server closed.
    if (this.#isClosing) {
      socket.destroy();
      return;
    }
    if (this.#connections.size >= limits.maxConnections) {
      // First: what is closed says no more who it was.
      this.#tell(socket, tooManyConnections(limits.maxConnections));
      socket.destroy();
      return;
    }
    // A handshake that fails may be told once it is closed.
    void socket.remoteAddress;
    socket.setKeepAlive(true, SOCKET_OPTIONS.keepAliveInitialDelay);
    const connection = new ServerConnection(socket, limits, this.#acceptor);
    this.#connections.set(socket, connection);
    this.#watchdog.add(connection);
    // Not the session's `close`, which may never come (NODE-HTTP2.md, "The end of a connection").
    socket.once('close', () => {
      connection.onClosed();
      this.#watchdog.remove(connection);
      this.#connections.delete(socket);
      this.#resolveIfClosed();
    });
  }

  #takeStream(
    node: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
  ): void {
    const session = node.session;
    if (session === undefined || session.destroyed) {
      // The session has failed before this was called, as it can over TLS: there Node puts DATA off while it writes,
      // and then takes that and all behind it in one tick. The stream tells of it later, and would end the process.
      node.on('error', () => {});
      return;
    }
    const carrier = this.#carriers.get(session) ?? this.#attachedCarrier(session);
    carrier.heard = true;
    const ended = (flags & END_STREAM) !== 0;
    const stream = new NodeServerStream(node, carrier, ended);
    if (carrier.owner === this.#attachedOwner) this.#attachedStreams.add(stream);
    try {
      this.#acceptor.onStream(stream, toHeaderList(rawHeaders, headers), ended);
    } catch (error) {
      stream.onThrown(error);
    }
  }

  /** A session of an attached server is its owner's to keep alive. */
  #attachedCarrier(session: Http2Session): Carrier {
    const present = this.#carriers.get(session);
    if (present !== undefined) return present;
    const { limits } = this.#options;
    const socket = socketOf(session);
    const account = new Account(limits, (by) => {
      carrier.decideEnd(OVERDRAWN[by]);
      destroySession(session, socket, ErrorCode.ENHANCE_YOUR_CALM);
      this.#tell(socket, OVERDRAWN[by]);
    });
    const { stallTimeoutMilliseconds } = limits;
    const carrier: Carrier = new Carrier(
      session,
      socket,
      this.#attachedOwner,
      stallTimeoutMilliseconds,
      account,
    );
    const watch = { check: (now: number) => carrier.checkStreams(now) };
    this.#watchdog.add(watch);
    socket.once('close', () => {
      this.#watchdog.remove(watch);
      account.close();
    });
    this.#carriers.set(session, carrier);
    return carrier;
  }

  readonly #attachedOwner: CarrierOwner = {
    onStreamEnded: (stream) => {
      this.#attachedStreams.delete(stream as NodeServerStream);
    },
    onOutOfStreams() {},
    onGoaway() {},
    takeReset: () => true,
    onResetWithheld() {},
  };

  /** Tells of a client that has no connection of its own here. */
  #tell(socket: Socket, { refusal, text }: ConnectionEnd): void {
    if (refusal !== undefined) this.#acceptor.onPeerRefused?.(socket, refusal, text);
  }

  #stopListening(): void {
    this.#isClosing = true;
    this.#listeners.close();
  }

  #resolveIfClosed(): void {
    if (this.#connections.size === 0) this.#resolveClosed?.();
  }
}
