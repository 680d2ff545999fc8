import { SocketServer } from '../support/socket-server.js';
import type { Wire } from '../support/wire.js';
import { RawConnection, type RawOptions } from './raw-connection.js';

/** What a backend does about its connection of this number, from 0 on; nothing if it is undefined. */
export type OnAccept = (index: number) => RawOptions | undefined;

/** A backend whose connections keep the protocol, and do what they are told. */
export class RawBackend {
  /** All that there were; those that were not served are not among them. */
  readonly connections: RawConnection[] = [];
  /** How many there were. */
  accepted = 0;
  readonly #server: SocketServer;

  private constructor(server: SocketServer) {
    this.#server = server;
  }

  /** @param onAccept undefined makes a connection that is closed at once */
  static async start(wire: Wire, onAccept: OnAccept): Promise<RawBackend> {
    const server = await SocketServer.start((socket) => {
      const options = onAccept(backend.accepted++);
      if (options === undefined) {
        socket.on('error', () => {});
        socket.destroy();
      } else {
        backend.connections.push(new RawConnection(socket, 'server', options));
      }
    }, wire);
    const backend = new RawBackend(server);
    return backend;
  }

  get port(): number {
    return this.#server.port;
  }

  /** How many connections are open. */
  get open(): number {
    return this.connections.filter(({ isClosed }) => !isClosed).length;
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
