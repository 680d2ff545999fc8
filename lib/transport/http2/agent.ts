import type { ClientHttp2Session, SecureClientSessionOptions } from 'node:http2';
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import { Agent } from 'http2-wrapper';
import type { ConnectTarget } from '../target.js';
import { SESSION_OPTIONS } from './session-options.js';

const { kGracefullyClosing, kCurrentStreamCount } = Agent as unknown as Record<string, symbol> & {
  kGracefullyClosing: symbol;
  kCurrentStreamCount: symbol;
};
/** Connects for those who wait; missing from the types. */
const { _processQueue: connectForQueue } = Agent.prototype as unknown as { _processQueue: () => void };

type Listener = { resolve: (session: ClientHttp2Session) => void; reject: (error: Error) => void };

interface BackendAgentOptions {
  tls: tls.ConnectionOptions | undefined;
  connectTimeoutMilliseconds: number;
  maxConnections: number;
}

/**
 * http2-wrapper's session pool for one backend. The Agent was made for `https://` URLs: it finds a session again
 * by the origin that node:http2 derives from the socket's `servername` and port. So the backend goes by a
 * pseudo-origin, and its sockets by that origin's name, whatever they are (FINDINGS, "http2-wrapper").
 */
export class BackendAgent extends Agent {
  readonly #target: ConnectTarget;
  readonly #options: BackendAgentOptions;
  readonly #origin: string;
  /** The socket of the connection attempt under way; the Agent makes one at a time per origin. */
  #connecting: { socket: Socket; timer: NodeJS.Timeout } | undefined;
  readonly #open = new Set<ClientHttp2Session>();

  constructor(target: ConnectTarget, options: BackendAgentOptions) {
    super({ maxSessions: options.maxConnections });
    this.#target = target;
    this.#options = options;
    this.#origin = 'path' in target ? `https://${PSEUDO_HOST}` : `https://${PSEUDO_HOST}:${target.port}`;
    this.on('session', (session: ClientHttp2Session) => {
      this.#connected();
      // The Agent listens once, and a session can fail more than once; its streams tell of it.
      session.on('error', () => {});
      this.#open.add(session);
      session.once('close', () => this.#open.delete(session));
    });
  }

  /**
   * Does not connect while there is a session whose peer takes no streams for now (MAX_CONCURRENT_STREAMS 0): the
   * Agent would close it as idle to connect once more, without end. It serves the queue when SETTINGS raise
   * the limit, and comes here when the session closes.
   */
  protected _processQueue(): void {
    for (const session of this.#open) {
      const fields = session as unknown as Record<symbol, unknown>;
      if (fields[kGracefullyClosing] === true || session.closed || session.destroyed) continue;
      if (fields[kCurrentStreamCount] === 0 && session.remoteSettings.maxConcurrentStreams === 0) return;
    }
    connectForQueue.call(this);
  }

  /** Calls `resolve` with a session that has room for one stream, at once if there is one; else `reject`. */
  getSessionFor(listener: Listener): void {
    void this.getSession(
      this.#origin,
      SESSION_OPTIONS as unknown as SecureClientSessionOptions,
      [listener] as unknown as Parameters<Agent['getSession']>[2],
    );
  }

  /** Keeps a session that has received GOAWAY from being handed out while its last streams run. */
  static retire(session: ClientHttp2Session): void {
    (session as unknown as Record<symbol, boolean>)[kGracefullyClosing] = true;
  }

  static isRetired(session: ClientHttp2Session): boolean {
    return (session as unknown as Record<symbol, boolean>)[kGracefullyClosing] === true;
  }

  override async createConnection(
    _origin: URL,
    { session }: SecureClientSessionOptions,
  ): Promise<tls.TLSSocket> {
    const { connectTimeoutMilliseconds } = this.#options;
    const socket = connectSocket(this.#target, this.#options.tls, session);
    // For TLS the handshake would set it to the real name; the certificate is checked by `tls` all the same.
    Object.defineProperty(socket, 'servername', { get: () => PSEUDO_HOST, set() {} });
    // The Agent would check the certificate once more, against the pseudo-origin.
    Object.defineProperty(socket, 'getPeerX509Certificate', { value: undefined });
    // It must cover TLS and the peer's SETTINGS, too: node:http2 waits for them without end (FINDINGS).
    const timer = setTimeout(() => {
      socket.destroy(
        new Error(`no HTTP/2 SETTINGS within ${connectTimeoutMilliseconds} ms of the connection attempt`),
      );
    }, connectTimeoutMilliseconds);
    this.#connecting = { socket, timer };
    socket.once('close', () => clearTimeout(timer));
    // A TLS alert after the handshake (no client certificate, in TLS 1.3) comes as an error that ends nothing.
    socket.on('error', (error) => socket.destroy(error));
    return socket as tls.TLSSocket;
  }

  override destroy(reason?: Error): void {
    super.destroy(reason);
    this.#connecting?.socket.destroy(reason);
    this.#connected();
  }

  #connected(): void {
    clearTimeout(this.#connecting?.timer);
    this.#connecting = undefined;
  }
}

/** RFC 2606 reserves `.invalid`: no backend can be called so. */
const PSEUDO_HOST = 'backend.invalid';

function connectSocket(
  target: ConnectTarget,
  tlsOptions: tls.ConnectionOptions | undefined,
  session: Buffer | undefined,
): Socket {
  if (tlsOptions === undefined) return net.connect({ ...target, noDelay: true });
  // TLS asks for the target's own name by default; an IP address is no server name (RFC 6066 section 3).
  const servername = 'host' in target && net.isIP(target.host) === 0 ? { servername: target.host } : {};
  const socket = tls.connect({ ...servername, ...tlsOptions, ...target, session, ALPNProtocols: ['h2'] });
  socket.once('secureConnect', () => {
    if (socket.alpnProtocol === 'h2') return;
    // Not at once: node:http2 listens, too, and aborts the process if the socket has lost its handle by then.
    setImmediate(() => {
      socket.destroy(new Error('the TLS peer does not speak HTTP/2: it did not choose "h2" by ALPN'));
    });
  });
  return socket;
}
