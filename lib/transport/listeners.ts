import type { Server } from 'node:net';
import { unlessAborted } from '../port/abort.js';
import type { DialAddress, ListenAddress } from '../port/address.js';
import { ownError } from '../port/errors.js';
import { listenAtPath } from './unix-socket.js';

/** The servers by which a transport listens, each at its address, and what gives their addresses up. */
export class Listeners {
  readonly #listening = new Map<Server, () => void>();
  #closed = false;

  /**
   * Lets a server listen; resolves with the address in use.
   *
   * @throws Error if it cannot (Node's own: EADDRINUSE, say), or if {@link close} was called before it could; the signal's
   *   reason if it aborts before
   */
  async listen(server: Server, address: ListenAddress, signal?: AbortSignal): Promise<DialAddress> {
    return unlessAborted(this.#listen(server, address, signal), signal);
  }

  async #listen(
    server: Server,
    address: ListenAddress,
    signal: AbortSignal | undefined,
  ): Promise<DialAddress> {
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
    if (this.#closed || signal?.aborted) {
      giveUp();
      server.close();
      signal?.throwIfAborted();
    }
    this.#refuseIfClosed();
    this.#listening.set(server, giveUp);
    // A failing accept (EMFILE, say) is no reason to end the process and the calls that are running.
    server.on('error', (error) => process.emitWarning(error));
    const inUse = server.address();
    if (inUse !== null && typeof inUse === 'object') return { host: inUse.address, port: inUse.port };
    return address as DialAddress;
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
    if (this.#closed) throw ownError('ERR_CLOSED', 'the server is closed: it cannot listen any more');
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
