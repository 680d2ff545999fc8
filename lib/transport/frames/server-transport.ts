import net, { type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { Account } from '../../port/account.js';
import type { ListenAddress } from '../../port/address.js';
import type { ServerTransport, StreamAcceptor } from '../../port/connection.js';
import { speaksHttp2 } from '../connect.js';
import { CLOSED_HERE, TOO_MANY_ABANDONED } from '../connection-ends.js';
import { Listeners } from '../listeners.js';
import type { ServerTransportOptions } from '../options.js';
import { SOCKET_OPTIONS } from '../socket-options.js';
import { Watchdog } from '../watchdog.js';
import { Connection } from './connection.js';
import { ServerRole } from './server-role.js';
import { INADEQUATE_TLS, isAdequate } from './tls-rules.js';

/** Serves on this engine. */
export class FramesServerTransport implements ServerTransport {
  private readonly listeners = new Listeners();
  private readonly connections = new Set<Connection>();
  private readonly watchdog: Watchdog;
  private isClosed = false;
  private closing: Promise<void> | undefined = undefined;
  private resolveClosed: (() => void) | undefined = undefined;

  constructor(
    private readonly acceptor: StreamAcceptor,
    private readonly options: ServerTransportOptions,
  ) {
    this.watchdog = new Watchdog(options.limits);
  }

  async listen(address: ListenAddress): Promise<ListenAddress> {
    const server = this.createServer();
    // Also of those that are in the TLS handshake.
    server.maxConnections = this.options.limits.maxConnections;
    return this.listeners.listen(server, address);
  }

  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.resolveClosed = resolve;
      this.stopListening();
      for (const { role } of this.connections) role.shutDown();
      this.resolveIfClosed();
    });
    return this.closing;
  }

  destroy(): void {
    this.stopListening();
    for (const connection of [...this.connections]) connection.destroy(CLOSED_HERE);
  }

  private createServer(): Server {
    const { tls: tlsOptions, limits } = this.options;
    if (tlsOptions === undefined) {
      return net.createServer({ ...SOCKET_OPTIONS }, (socket) => this.accept(socket));
    }
    return tls.createServer(
      {
        handshakeTimeout: limits.handshakeTimeoutMilliseconds,
        ...tlsOptions,
        ALPNProtocols: ['h2'],
        ...SOCKET_OPTIONS,
      } as tls.TlsOptions,
      (socket) => this.acceptTls(socket),
    );
  }

  private acceptTls(socket: tls.TLSSocket): void {
    // "HTTP/2 connections over TLS MUST use protocol negotiation in TLS" (section 3.3).
    if (!speaksHttp2(socket)) {
      socket.destroy();
      return;
    }
    // "An endpoint MUST treat a TLS renegotiation as a connection error of type PROTOCOL_ERROR" (9.2.1).
    socket.disableRenegotiation();
    const connection = this.accept(socket);
    if (!isAdequate(socket)) connection?.fail(INADEQUATE_TLS, 'inadequate TLS');
  }

  private accept(socket: Socket): Connection | undefined {
    // It was in the TLS handshake, say.
    if (this.isClosed) {
      socket.destroy();
      return undefined;
    }
    const { limits } = this.options;
    if (this.connections.size >= limits.maxConnections) {
      socket.destroy();
      return undefined;
    }
    const account = new Account(limits, () => connection.fail(TOO_MANY_ABANDONED, TOO_MANY_ABANDONED.text));
    const connection: Connection = new Connection(socket, account, limits, 2, (made) => {
      const onClosed = (): void => this.onConnectionClosed(connection);
      return new ServerRole(made, this.acceptor, limits, onClosed);
    });
    this.connections.add(connection);
    this.watchdog.add(connection);
    connection.start();
    return connection;
  }

  private onConnectionClosed(connection: Connection): void {
    connection.account.close();
    this.watchdog.remove(connection);
    this.connections.delete(connection);
    this.resolveIfClosed();
  }

  private stopListening(): void {
    this.isClosed = true;
    this.listeners.close();
  }

  private resolveIfClosed(): void {
    if (this.connections.size === 0) this.resolveClosed?.();
  }
}
