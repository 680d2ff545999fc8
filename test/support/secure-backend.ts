import { once } from 'node:events';
import http2, { type SecureServerOptions, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { encodeMessage } from '../../lib/index.js';
import { respond } from './http2-backend.js';

/** An HTTP/2 server over TLS that answers every call with a message and OK. */
export class SecureBackend {
  /** The connections whose handshake has succeeded, in their order. */
  readonly sockets: TLSSocket[] = [];
  /** The common name of the certificate that each has shown; undefined for none. */
  readonly clients: (string | undefined)[] = [];
  /** Says GOAWAY on each connection when it has answered a call. */
  hasOneCallEach = false;
  readonly #server: http2.Http2SecureServer;
  readonly #sessions: ServerHttp2Session[] = [];

  private constructor(server: http2.Http2SecureServer) {
    this.#server = server;
    server.on('secureConnection', (socket: TLSSocket) => {
      this.sockets.push(socket);
      this.clients.push(socket.getPeerX509Certificate()?.subject.replace('CN=', ''));
    });
    server.on('session', (session) => this.#sessions.push(session));
    server.on('sessionError', () => {});
    server.on('tlsClientError', () => {});
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      const { session } = stream;
      if (this.hasOneCallEach) stream.once('close', () => session?.close());
      respond(stream, encodeMessage(Buffer.from('answer')));
    });
  }

  static async start(t: Test, options: SecureServerOptions): Promise<SecureBackend> {
    const server = http2.createSecureServer(options);
    const backend = new SecureBackend(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => backend.destroy());
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  setSecureContext(options: SecureContextOptions): void {
    this.#server.setSecureContext(options);
  }

  /** Lets no call come by a connection that is there. */
  closeConnections(): void {
    for (const session of this.#sessions.splice(0)) session.close();
  }

  destroy(): void {
    this.#server.close();
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.sockets) socket.destroy();
  }
}
