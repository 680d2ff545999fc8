import type { ClientHttp2Session } from 'node:http2';
import type { ConnectionOptions } from 'node:tls';
import { Http2SessionTransport } from '../transport/http2/client-transport.js';
import type { ClientTransport } from '../transport/port.js';
import { parseTarget } from '../transport/target.js';
import { createClientTransport, type TransportName } from '../transport/transports.js';

/** How connections to a backend are made. */
export interface DialOptions {
  /**
   * Options of `tls.connect()` (`ca`, `key`, `cert`, `servername`, …) for an `https://` target; for another kind of
   * target they turn TLS on.
   */
  readonly tls?: ConnectionOptions | undefined;
  /** What speaks HTTP/2: `http2` (node:http2), the default, or `frames` (this package's own engine). */
  readonly transport?: TransportName | undefined;
  /** `:authority` of requests; by default the target's host and port. */
  readonly authority?: string | undefined;
  /** Milliseconds from the start of a connection attempt until it is usable. Default 20 000. */
  readonly connectTimeoutMilliseconds?: number | undefined;
  /**
   * Connections at a time at most, for a backend that limits the streams on each; calls beyond wait for room.
   * Default 100.
   */
  readonly maxConnections?: number | undefined;
}

/**
 * The connections to one backend, kept and shared by all calls to it: made when first needed, made anew when lost,
 * and left when the backend says that it is going away. Make one per backend, not one per call.
 */
export class ClientConn {
  /** The address it was dialled by. */
  readonly target: string;
  readonly scheme: string;
  /** The default `:authority` of requests; undefined leaves it to the transport. */
  readonly authority: string | undefined;
  /** @internal */
  readonly transport: ClientTransport;

  /** @internal Use {@link dial}. */
  constructor(target: string, scheme: string, authority: string | undefined, transport: ClientTransport) {
    this.target = target;
    this.scheme = scheme;
    this.authority = authority;
    this.transport = transport;
  }

  /** Refuses new calls, lets running ones finish, and closes the connections; resolves when that is done. */
  async close(): Promise<void> {
    await this.transport.close();
  }

  /** Closes the connections at once: running calls fail with UNAVAILABLE. */
  destroy(): void {
    this.transport.destroy();
  }
}

/**
 * Prepares connections to a backend; they are made by the first call.
 *
 * @param target `http://HOST:PORT` (HTTP/2 without TLS), `https://HOST:PORT`, `unix:/PATH`, or `HOST:PORT`, which
 *   means `http://`
 * @throws TypeError for a target that is none of these
 */
export function dial(target: string, options: DialOptions = {}): ClientConn {
  const { connect, scheme, authority } = parseTarget(target);
  const secure = scheme === 'https' || options.tls !== undefined;
  const transport = createClientTransport(options.transport ?? 'http2', connect, {
    tls: secure ? (options.tls ?? {}) : undefined,
    connectTimeoutMilliseconds: options.connectTimeoutMilliseconds,
    maxConnections: options.maxConnections,
  });
  return new ClientConn(target, secure ? 'https' : 'http', options.authority ?? authority, transport);
}

const connsOfSessions = new WeakMap<ClientHttp2Session, ClientConn>();

/** The connection itself, or the one over a session that its owner connected and will close. */
export function toClientConn(conn: ClientConn | ClientHttp2Session): ClientConn {
  if (conn instanceof ClientConn) return conn;
  if (typeof conn?.request !== 'function') {
    throw new TypeError('a destination needs a conn: what dial() gave, or a ClientHttp2Session');
  }
  let known = connsOfSessions.get(conn);
  if (known === undefined) {
    // node:http2 fills in the authority that the session was connected with.
    const scheme = conn.encrypted === true ? 'https' : 'http';
    known = new ClientConn('the given HTTP/2 session', scheme, undefined, new Http2SessionTransport(conn));
    connsOfSessions.set(conn, known);
  }
  return known;
}
