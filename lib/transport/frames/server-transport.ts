import net from 'node:net';
import tls from 'node:tls';
import type { ListenAddress, ServerTransport, StreamAcceptor } from '../port.js';
import { ErrorCode } from './frame.js';
import { DEFAULT_LIMITS, type FramesLimits } from './limits.js';
import { ServerConnection, type ServerConnectionOwner } from './server-connection.js';
import { isAdequate } from './tls-rules.js';
import { Watchdog } from './watchdog.js';

/** How {@link createFramesServerTransport} serves. */
export interface FramesServerOptions {
  /** Serves TLS, with ALPN `h2`; without it, h2c by prior knowledge. */
  readonly tls?: tls.TlsOptions | undefined;
  /**
   * The SETTINGS_MAX_CONCURRENT_STREAMS of each connection; default 2^31-1. C-core clients open streams
   * before they have seen the setting, and go on after it, so that a low one makes honest calls fail.
   */
  readonly maxConcurrentStreams?: number | undefined;
  readonly limits?: Partial<FramesLimits> | undefined;
}

/** Creates a server on this engine. */
export function createFramesServerTransport(
  options: FramesServerOptions,
  acceptor: StreamAcceptor,
): ServerTransport {
  return new FramesServerTransport(options, acceptor);
}

class FramesServerTransport implements ServerTransport, ServerConnectionOwner {
  readonly limits: FramesLimits;
  readonly maxConcurrentStreams: number;
  private readonly tls: tls.TlsOptions | undefined;
  private readonly servers = new Set<net.Server>();
  private readonly connections = new Set<ServerConnection>();
  private readonly watchdog: Watchdog;
  private closing: Promise<void> | undefined = undefined;
  private resolveClosed: (() => void) | undefined = undefined;
  private destroyed = false;

  constructor(
    options: FramesServerOptions,
    readonly acceptor: StreamAcceptor,
  ) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.maxConcurrentStreams = options.maxConcurrentStreams ?? 2 ** 31 - 1;
    this.tls = options.tls;
    this.watchdog = new Watchdog(this.limits);
  }

  listen(address: ListenAddress): Promise<ListenAddress> {
    const server = this.createServer();
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => {
        this.servers.delete(server);
        reject(error);
      };
      server.once('error', onError);
      server.listen(address, () => {
        server.off('error', onError);
        // What goes wrong with a connection later on (no file descriptor left) must not end the process.
        server.on('error', () => {});
        const bound = server.address();
        if (typeof bound === 'string' || bound === null) resolve(address);
        else resolve({ host: bound.address, port: bound.port });
      });
      this.servers.add(server);
    });
  }

  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.resolveClosed = resolve;
      this.stopListening();
      for (const connection of this.connections) connection.shutDown();
      this.resolveIfClosed();
    });
    return this.closing;
  }

  destroy(): void {
    this.destroyed = true;
    this.stopListening();
    for (const connection of [...this.connections]) connection.destroy();
  }

  onConnectionClosed(connection: ServerConnection): void {
    this.watchdog.remove(connection);
    this.connections.delete(connection);
    this.resolveIfClosed();
  }

  private createServer(): net.Server {
    if (this.tls === undefined) {
      return net.createServer({ noDelay: true }, (socket) => this.accept(socket));
    }
    return tls.createServer(
      {
        handshakeTimeout: this.limits.handshakeTimeoutMilliseconds,
        ...this.tls,
        ALPNProtocols: ['h2'],
        noDelay: true,
      } as tls.TlsOptions,
      (socket) => {
        // "HTTP/2 connections over TLS MUST use protocol negotiation in TLS" (section 3.3).
        if (socket.alpnProtocol !== 'h2') {
          socket.destroy();
          return;
        }
        // "An endpoint MUST treat a TLS renegotiation as a connection error of type PROTOCOL_ERROR" (9.2.1).
        socket.disableRenegotiation();
        const connection = this.accept(socket);
        if (!isAdequate(socket)) connection?.fail(ErrorCode.INADEQUATE_SECURITY, 'inadequate TLS');
      },
    );
  }

  private accept(socket: net.Socket): ServerConnection | undefined {
    // It was in the TLS handshake, say.
    if (this.closing !== undefined || this.destroyed) {
      socket.destroy();
      return undefined;
    }
    const connection = new ServerConnection(socket, this);
    this.connections.add(connection);
    this.watchdog.add(connection);
    return connection;
  }

  private stopListening(): void {
    for (const server of this.servers) server.close();
    this.servers.clear();
  }

  private resolveIfClosed(): void {
    if (this.connections.size === 0) this.resolveClosed?.();
  }
}
