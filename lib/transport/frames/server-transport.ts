import net, { type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { Account } from '../../port/account.js';
import type { DialAddress, ListenAddress } from '../../port/address.js';
import type { ServerTransport, StreamAcceptor } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { speaksHttp2 } from '../connect.js';
import { CLOSED_HERE, endOfHandshake, NO_ALPN, OVERDRAWN, tooManyConnections } from '../connection-ends.js';
import { Listeners } from '../listeners.js';
import type { ServerTransportOptions } from '../options.js';
import { SOCKET_OPTIONS } from '../socket-options.js';
import { tcpSocketOf } from '../tcp-socket.js';
import { Watchdog } from '../watchdog.js';
import { Connection } from './connection.js';
import { ServerRole } from './server-role.js';
import { INADEQUATE_TLS, isAdequate } from './tls-rules.js';

/** Serves on this engine. */
export class FramesServerTransport implements ServerTransport {
  private readonly listeners = new Listeners();
  private readonly connections = new Set<Connection>();
  /** The TCP sockets whose TLS handshake is not done, and perhaps never will be. */
  private readonly handshaking = new Set<Socket>();
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

  async listen(address: ListenAddress, signal?: AbortSignal): Promise<DialAddress> {
    return this.listeners.listen(this.createServer(), address, signal);
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
    const { tls: serverTls, limits } = this.options;
    if (serverTls === undefined) {
      return net.createServer({ ...SOCKET_OPTIONS }, (socket) => this.accept(socket));
    }
    const server = tls.createServer(
      {
        handshakeTimeout: limits.handshakeTimeoutMilliseconds,
        ...serverTls.options,
        ALPNProtocols: ['h2'],
        ...SOCKET_OPTIONS,
      } as tls.TlsOptions,
      (socket) => this.acceptTls(socket),
    );
    serverTls.add(server);
    server.on('connection', (socket: Socket) => this.awaitHandshake(socket));
    // Node only tells of a handshake that fails, or whose time is over.
    server.on('tlsClientError', (error, socket) => this.refuse(socket, endOfHandshake(error, socket)));
    return server;
  }

  private awaitHandshake(socket: Socket): void {
    if (this.isClosed || this.isFull) {
      this.turnAway(socket);
      return;
    }
    // A handshake that fails may be told once it is closed.
    void socket.remoteAddress;
    this.handshaking.add(socket);
    socket.once('close', () => this.handshaking.delete(socket));
  }

  private acceptTls(socket: tls.TLSSocket): void {
    this.handshaking.delete(tcpSocketOf(socket));
    // "HTTP/2 connections over TLS MUST use protocol negotiation in TLS" (section 3.3).
    if (!speaksHttp2(socket)) {
      this.refuse(socket, NO_ALPN);
      return;
    }
    // "An endpoint MUST treat a TLS renegotiation as a connection error of type PROTOCOL_ERROR" (9.2.1).
    socket.disableRenegotiation();
    const connection = this.accept(socket);
    if (!isAdequate(socket)) connection?.fail(INADEQUATE_TLS, 'inadequate TLS');
  }

  private accept(socket: Socket): Connection | undefined {
    // It was in the TLS handshake, say.
    if (this.isClosed || this.isFull) {
      this.turnAway(socket);
      return undefined;
    }
    const { limits } = this.options;
    const account = new Account(limits, (by) => connection.failOrCut(OVERDRAWN[by]));
    const connection: Connection = new Connection(socket, account, limits, 2, (made) => {
      const onClosed = (): void => this.onConnectionClosed(connection);
      return new ServerRole(made, this.acceptor, limits, onClosed);
    });
    this.connections.add(connection);
    this.watchdog.add(connection);
    connection.start();
    return connection;
  }

  /** A client comes when this is closed, which is not its fault, or full. */
  private turnAway(socket: Socket): void {
    this.refuse(socket, this.isClosed ? CLOSED_HERE : tooManyConnections(this.options.limits.maxConnections));
  }

  /** Ends a connection that has not become one. */
  private refuse(socket: Socket, { refusal, text }: ConnectionEnd): void {
    // First: what is closed says no more who it was.
    if (refusal !== undefined) this.acceptor.onPeerRefused?.(tcpSocketOf(socket), refusal, text);
    socket.destroy();
  }

  private get isFull(): boolean {
    return this.connections.size + this.handshaking.size >= this.options.limits.maxConnections;
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
    for (const socket of this.handshaking) socket.destroy();
  }

  private resolveIfClosed(): void {
    if (this.connections.size === 0) this.resolveClosed?.();
  }
}
