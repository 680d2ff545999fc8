import http2, {
  type Http2SecureServer,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server as NetServer, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { isGrpcContentType } from '../../grpc/content-type.js';
import type { ListenAddress, ServerTransport, StreamAcceptor } from '../port.js';
import { toHeaderList } from './fields.js';
import { Keepalive, type KeepaliveTimes } from './keepalive.js';
import { CONNECTION_WINDOW, SESSION_OPTIONS, STREAM_WINDOW } from './session-options.js';
import { NodeServerStream, newSessionState, type SessionState } from './stream.js';

/**
 * Clients may be silent for long, but must be there: on Node 20 a session whose client has broken the protocol stays
 * open for ever, even when the client has gone, and so would its socket.
 */
const KEEPALIVE: KeepaliveTimes = { time: 60_000, timeout: 20_000 };

const { NGHTTP2_REFUSED_STREAM, NGHTTP2_FLAG_END_STREAM } = http2.constants;

/** A server of `node:http2`, for h2c or TLS. */
export type NodeHttp2Server = Http2Server | Http2SecureServer;

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
  readonly #tls: TlsOptions | undefined;
  readonly #servers = new Set<NodeHttp2Server>();
  readonly #sessions = new Map<Http2Session, { readonly state: SessionState; readonly socket: Socket }>();
  readonly #keepalive: KeepaliveTimes;
  #closing = false;

  constructor(acceptor: StreamAcceptor, tls?: TlsOptions, keepalive = KEEPALIVE) {
    this.#acceptor = acceptor;
    this.#tls = tls;
    this.#keepalive = keepalive;
  }

  async listen(address: ListenAddress): Promise<ListenAddress> {
    const server =
      this.#tls === undefined
        ? http2.createServer(SESSION_OPTIONS)
        : http2.createSecureServer({ ...this.#tls, ...SESSION_OPTIONS, ALPNProtocols: ['h2'] });
    // Node makes a socket's session, and tells of it, before this event is over.
    let accepted!: Socket;
    server.prependListener(this.#tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      accepted = socket;
    });
    server.on('session', (session: ServerHttp2Session) => this.#takeSession(session, accepted));
    server.on('stream', this.#takeStream.bind(this) as StreamListener);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address, () => {
        server.off('error', reject);
        resolve();
      });
    });
    // A failing accept (EMFILE, say) is no reason to end the process and the calls that are running.
    server.on('error', (error) => process.emitWarning(error));
    this.#servers.add(server);
    const inUse = (server as NetServer).address();
    if (inUse === null || typeof inUse === 'string') return address;
    return { host: inUse.address, port: inUse.port };
  }

  /**
   * Takes the gRPC streams of a server that belongs to somebody else, and leaves it its other streams; without
   * another listener for them it takes all. Closing the server and draining its sessions stay its owner's.
   */
  attach(server: NodeHttp2Server): void {
    server.on('session', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(CONNECTION_WINDOW);
      session.settings({ initialWindowSize: STREAM_WINDOW });
    });
    // Another listener of `stream`, and compatibility's `request` is one, would answer gRPC calls, too.
    const emit = server.emit.bind(server) as (event: string | symbol, ...values: unknown[]) => boolean;
    const onStream: StreamListener = (stream, headers, flags, rawHeaders) => {
      if (!isGrpcContentType(headers['content-type']) && server.listenerCount('stream') > 0) {
        emit('stream', stream, headers, flags, rawHeaders);
      } else if (this.#closing) {
        // It tells the code that is given here; without a listener it would be thrown.
        stream.on('error', () => {});
        stream.close(NGHTTP2_REFUSED_STREAM);
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

  async close(): Promise<void> {
    this.#closing = true;
    const closed = [...this.#servers].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    // One GOAWAY, not the two that RFC 9113 section 6.8 advises: nghttp2 takes no new streams after the first
    // anyhow, so that a call on its way would only hear later that it has been refused.
    for (const session of this.#sessions.keys()) session.close();
    await Promise.all(closed);
  }

  destroy(): void {
    this.#closing = true;
    for (const server of this.#servers) server.close();
    for (const [session, { socket }] of this.#sessions) destroySession(session, socket);
  }

  #takeSession(session: ServerHttp2Session, socket: Socket): void {
    const state = newSessionState();
    this.#sessions.set(session, { state, socket });
    const keepalive = new Keepalive(
      session,
      state,
      () => true,
      () => destroySession(session, socket),
      this.#keepalive,
    );
    // Not the session's `close`, which may never come (`destroySession`).
    socket.once('close', () => {
      keepalive.stop();
      this.#sessions.delete(session);
    });
    session.setLocalWindowSize(CONNECTION_WINDOW);
    // It was in the accept queue when the server closed.
    if (this.#closing) session.close();
  }

  #takeStream(
    node: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
  ): void {
    const session = node.session;
    if (session === undefined) {
      // The session has failed before this was called, as it can over TLS: there Node puts DATA off while it writes,
      // and then takes that and all behind it in one tick. The stream tells of it later, and would end the process.
      node.on('error', () => {});
      return;
    }
    const ended = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    // A session of an attached server is its owner's to keep alive.
    const state = this.#sessions.get(session)?.state ?? newSessionState();
    state.heard = true;
    const stream = new NodeServerStream(node, session, state, ended);
    this.#acceptor.onStream(stream, toHeaderList(rawHeaders, headers), ended);
  }
}

/** How long a session that was destroyed has for its GOAWAY. */
const LINGER_MILLISECONDS = 1000;

/**
 * Destroys a session, and its socket. Node waits for the session's last write; over TLS on a broken connection nobody
 * tells it that it is done (nodejs/node#55804), and session and socket would stay for ever.
 */
function destroySession(session: Http2Session, socket: Socket): void {
  session.destroy();
  const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS).unref();
  socket.once('close', () => clearTimeout(timer));
}
