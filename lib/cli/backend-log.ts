import type { ClientConn } from '../client/client-conn.js';
import type { Log } from './log.js';

/** Says when a backend becomes, or ceases to be, reachable, and why. */
export class BackendLog {
  readonly #log: Log;
  readonly #watched = new Map<ClientConn, AbortController>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Looks on at these, by their names, and at no others any more. */
  watch(backends: ReadonlyMap<string, ClientConn>): void {
    const conns = new Set(backends.values());
    for (const [conn, end] of this.#watched) {
      if (conns.has(conn)) continue;
      end.abort();
      this.#watched.delete(conn);
    }
    for (const [name, conn] of backends) {
      if (this.#watched.has(conn)) continue;
      const end = new AbortController();
      this.#watched.set(conn, end);
      void this.#follow(name, conn, end.signal);
    }
  }

  stop(): void {
    this.watch(new Map());
  }

  async #follow(name: string, conn: ClientConn, end: AbortSignal): Promise<void> {
    let isReachable: boolean | undefined;
    let { state } = conn;
    while (state.name !== 'SHUTDOWN') {
      if (state.name === 'READY' && isReachable !== true) {
        isReachable = true;
        this.#log.info(`backend ${name} (${conn.target}) is reachable`);
      } else if (state.name === 'TRANSIENT_FAILURE' && isReachable !== false) {
        isReachable = false;
        this.#log.warn(`backend ${name} (${conn.target}) is not reachable: ${state.error.message}`);
      }
      try {
        state = await conn.waitForStateChange(state.name, end);
      } catch {
        // Nobody looks on any more.
        return;
      }
    }
  }
}
