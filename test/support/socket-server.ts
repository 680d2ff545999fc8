import { once } from 'node:events';
import type { AddressInfo, Server, ServerOpts, Socket } from 'node:net';
import type { Wire } from './wire.js';

/** Listens on a free port of the loopback interface, and hands out the sockets that connect. */
export class SocketServer {
  /** Of TLS, the sockets under it: those that never come to speak HTTP/2 must end, too. */
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async start(
    onSocket: (socket: Socket) => void,
    wire: Wire,
    options: ServerOpts = {},
  ): Promise<SocketServer> {
    const server = new SocketServer(wire.createServer(options, onSocket));
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening, and cuts all connections. */
  async close(): Promise<void> {
    this.destroy();
    await once(this.#server, 'close');
  }

  destroy(): void {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
