import { ConnectionClosed, FramePeer } from './frame-peer.js';
import { SocketServer } from './socket-server.js';
import { CLEARTEXT, type Wire } from './wire.js';

/** What a backend does on a connection; a promise that waits for frames may outlive it. */
export type OnConnection = (connection: FramePeer) => void | Promise<void>;

/** A backend whose every frame the test decides; the test must send the SETTINGS, too. */
export class FrameBackend {
  readonly connections: FramePeer[] = [];
  readonly #server: SocketServer;
  #accepted = 0;
  #waiting: (() => void)[] = [];

  private constructor(server: SocketServer) {
    this.#server = server;
  }

  static async start(onConnection: OnConnection = () => {}, wire: Wire = CLEARTEXT): Promise<FrameBackend> {
    const server = await SocketServer.start((socket) => {
      const connection = new FramePeer(socket, 'server');
      backend.connections.push(connection);
      void serve(connection, onConnection);
      for (const resolve of backend.#waiting.splice(0)) resolve();
    }, wire);
    const backend = new FrameBackend(server);
    return backend;
  }

  get port(): number {
    return this.#server.port;
  }

  /** As a transport is told to connect to it. */
  get target(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  /** The first connection that has not been accepted before; waits for it. */
  async accept(): Promise<FramePeer> {
    const index = this.#accepted++;
    while (this.connections.length <= index) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.connections[index]!;
  }

  /** Stops listening, and cuts all connections. */
  async close(): Promise<void> {
    await this.#server.close();
  }

  destroy(): void {
    this.#server.destroy();
  }
}

async function serve(connection: FramePeer, onConnection: OnConnection): Promise<void> {
  try {
    await onConnection(connection);
  } catch (error) {
    if (!(error instanceof ConnectionClosed)) throw error;
  }
}
