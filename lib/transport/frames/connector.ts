import net from 'node:net';
import tls from 'node:tls';
import type { ClientConnection } from './client-connection.js';
import { ErrorCode } from './frame.js';
import { isAdequate } from './tls-rules.js';

/** Where a backend listens: TCP, or a unix socket. */
export type ClientTarget = { readonly host: string; readonly port: number } | { readonly path: string };

/** What a {@link Connector} reports to. */
export interface ConnectorOwner {
  /** The socket is connected, TLS and all: begins HTTP/2 on it. */
  onSocket(socket: net.Socket): ClientConnection;
  onFailure(error: Error): void;
}

/** One attempt to make a connection: TCP, TLS, and the peer's SETTINGS. */
export class Connector {
  /** The connection, once there is a socket for it. */
  connection: ClientConnection | undefined = undefined;
  private readonly socket: net.Socket;
  private readonly timer: NodeJS.Timeout;
  private error: Error | undefined = undefined;
  private settled = false;

  constructor(
    target: ClientTarget,
    tlsOptions: tls.ConnectionOptions | undefined,
    timeoutMilliseconds: number,
    private readonly owner: ConnectorOwner,
  ) {
    this.timer = setTimeout(
      () =>
        this.abort(
          new Error(`no HTTP/2 SETTINGS within ${timeoutMilliseconds} ms of the connection attempt`),
        ),
      timeoutMilliseconds,
    );
    const onConnect = (): void => this.onConnect(tlsOptions !== undefined);
    this.socket = tlsOptions === undefined ? net.connect(target) : connectTls(target, tlsOptions);
    this.socket.setNoDelay(true);
    this.socket.once(tlsOptions === undefined ? 'connect' : 'secureConnect', onConnect);
    this.socket.on('error', (error) => {
      // One error for each address of a host, and no message of its own.
      this.error ??= error instanceof AggregateError ? error.errors[0] : error;
    });
    this.socket.once('close', () => this.fail());
  }

  /** The peer's SETTINGS have been received. */
  succeed(): void {
    this.settled = true;
    clearTimeout(this.timer);
  }

  abort(error: Error): void {
    if (this.settled) return;
    this.error ??= error;
    this.socket.destroy();
    this.fail();
  }

  onConnectionClosed(connection: ClientConnection): void {
    if (connection === this.connection) this.fail();
  }

  private onConnect(encrypted: boolean): void {
    if (this.settled) return;
    // "HTTP/2 connections over TLS MUST use protocol negotiation in TLS" (section 3.3).
    if (encrypted && (this.socket as tls.TLSSocket).alpnProtocol !== 'h2') {
      this.abort(new Error('the backend does not speak HTTP/2: ALPN has not agreed on h2'));
      return;
    }
    this.connection = this.owner.onSocket(this.socket);
    if (encrypted && !isAdequate(this.socket as tls.TLSSocket)) {
      this.error = new Error('the backend has chosen a TLS version or cipher suite that HTTP/2 prohibits');
      this.connection.fail(ErrorCode.INADEQUATE_SECURITY, 'inadequate TLS');
      this.fail();
    }
  }

  private fail(): void {
    if (this.settled) return;
    this.settled = true;
    clearTimeout(this.timer);
    this.owner.onFailure(this.error ?? new Error('the connection was closed before it was established'));
  }
}

function connectTls(target: ClientTarget, options: tls.ConnectionOptions): net.Socket {
  // SNI names hosts, not addresses (RFC 6066 section 3).
  const named = 'host' in target && net.isIP(target.host) === 0 ? { servername: target.host } : {};
  return tls.connect({ ...named, ...options, ...target, ALPNProtocols: ['h2'] });
}
