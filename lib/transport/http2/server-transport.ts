import http2, {
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server as NetServer } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { isGrpcContentType } from '../../grpc/content-type.js';
import type { ListenAddress, ServerTransport, StreamAcceptor } from '../port.js';
import { toHeaderList } from './fields.js';
import { CONNECTION_WINDOW, SESSION_OPTIONS, STREAM_WINDOW } from './session-options.js';
import { NodeServerStream, newSessionState, type SessionState } from './stream.js';

/** A last stream id that excludes nothing: the first step of a graceful shutdown (RFC 9113 section 6.8). */
const MAX_STREAM_ID = 2 ** 31 - 1;

/** How long a draining connection waits for the PING that tells that the client has seen the first GOAWAY. */
const GOAWAY_ROUND_TRIP_MILLISECONDS = 1000;

const { NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_FLAG_END_STREAM } = http2.constants;

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
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Clients' GOAWAYs concern no stream of theirs, so one state does for all sessions. */
  readonly #sessionState: SessionState = newSessionState();
  #closing = false;

  constructor(acceptor: StreamAcceptor, tls?: TlsOptions) {
    this.#acceptor = acceptor;
    this.#tls = tls;
  }

  async listen(address: ListenAddress): Promise<ListenAddress> {
    const server =
      this.#tls === undefined
        ? http2.createServer(SESSION_OPTIONS)
        : http2.createSecureServer({ ...this.#tls, ...SESSION_OPTIONS, ALPNProtocols: ['h2'] });
    server.on('session', (session: ServerHttp2Session) => this.#takeSession(session));
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
    for (const session of this.#sessions) drain(session);
    await Promise.all(closed);
  }

  destroy(): void {
    this.#closing = true;
    for (const server of this.#servers) server.close();
    for (const session of this.#sessions) session.destroy();
  }

  #takeSession(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on('close', () => this.#sessions.delete(session));
    session.setLocalWindowSize(CONNECTION_WINDOW);
    // It was in the accept queue when the server closed.
    if (this.#closing) drain(session);
  }

  #takeStream(
    node: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
  ): void {
    const session = node.session;
    if (session === undefined) return;
    const ended = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    const stream = new NodeServerStream(node, session, this.#sessionState, ended);
    this.#acceptor.onStream(stream, toHeaderList(rawHeaders, headers), ended);
  }
}

/**
 * "A server that is attempting to gracefully shut down a connection SHOULD send an initial GOAWAY frame with the
 * last stream identifier set to 2^31-1 and a NO_ERROR code. […] After allowing time for any in-flight stream
 * creation (at least one round-trip time), the server MAY send another GOAWAY frame with an updated last stream
 * identifier" (RFC 9113 section 6.8). `close()` sends that second one, and ends the session after its streams.
 */
function drain(session: ServerHttp2Session): void {
  if (session.destroyed || session.closed) return;
  session.goaway(NGHTTP2_NO_ERROR, MAX_STREAM_ID);
  const timer = setTimeout(() => session.close(), GOAWAY_ROUND_TRIP_MILLISECONDS);
  const seen = session.ping(() => {
    clearTimeout(timer);
    session.close();
  });
  if (!seen) {
    clearTimeout(timer);
    session.close();
  }
}
