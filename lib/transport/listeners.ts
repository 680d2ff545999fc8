import type { Server } from 'node:net';
import type { ListenAddress } from '../port/address.js';
import { listenAtPath } from './unix-socket.js';

/** The servers by which a transport listens, each at its address, and what gives their addresses up. */
export class Listeners {
  readonly #listening = new Map<Server, () => void>();
  #closed = false;

  /**
   * Lets a server listen; resolves with the address in use.
   *
   * @throws Error if it cannot (Node's own: EADDRINUSE, say), or if {@link close} was called before it could
   */
  async listen(server: Server, address: ListenAddress): Promise<ListenAddress> {
    this.#refuseIfClosed();
    let giveUp: () => void;
    try {
      giveUp =
        'path' in address ? await listenAtPath(server, address.path) : await listenAtPort(server, address);
    } catch (error) {
      // It tells whoever made it that it will not be used.
      server.close();
      throw error;
    }
    if (this.#closed) {
      giveUp();
      server.close();
    }
    this.#refuseIfClosed();
    this.#listening.set(server, giveUp);
    // A failing accept (EMFILE, say) is no reason to end the process and the calls that are running.
    server.on('error', (error) => process.emitWarning(error));
    const inUse = server.address();
    if (inUse === null || typeof inUse === 'string') return address;
    return { host: inUse.address, port: inUse.port };
  }

  /** Stops listening, at once. Connections that have been accepted go on. */
  close(): void {
    this.#closed = true;
    for (const [server, giveUp] of this.#listening) {
      giveUp();
      server.close();
    }
    this.#listening.clear();
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw new Error('the server is closed: it cannot listen any more');
  }
}

function listenAtPort(server: Server, address: ListenAddress): Promise<() => void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve(() => {});
    });
  });
}
