import type { SecureContextOptions } from 'node:tls';
import { type ClientConn, dial } from '../client/client-conn.js';
import type { TransportName } from '../transport/transport-name.js';
import type { BackendConfig } from './backend-schema.js';

/** How soon after the last look it is seen whether a connection that is used no more has calls. */
const LOOK_MILLISECONDS = 100;

/** What backends are to be. */
export interface BackendsConfig {
  readonly backends: Readonly<Record<string, BackendConfig>>;
  readonly transport: TransportName | undefined;
  /** What their files hold, by their names. */
  readonly tls: ReadonlyMap<string, SecureContextOptions>;
}

/** Backends as they are to be, before they are. */
export interface PreparedBackends {
  readonly conns: ReadonlyMap<string, ClientConn>;
  /** From now on they are. */
  commit(): void;
  /** They will not be. */
  drop(): void;
}

/** One as it is. */
interface Backend {
  readonly conn: ClientConn;
  /** What it was made by, to be compared. */
  readonly made: string;
  /** What its files held. */
  tls: SecureContextOptions | undefined;
}

/** The connections to the backends of a config, by their names. */
export class Backends {
  #backends: ReadonlyMap<string, Backend> = new Map();
  #conns: ReadonlyMap<string, ClientConn> = new Map();
  /** Of backends that are no more, while they have calls. */
  readonly #retired = new Set<ClientConn>();
  #timer: NodeJS.Timeout | undefined;

  /** Another map after each change. */
  get conns(): ReadonlyMap<string, ClientConn> {
    return this.#conns;
  }

  /**
   * Makes what is new. Connections to what stays as it is are kept; those to what is no more, or is changed, close when
   * their calls have ended.
   *
   * @throws Error for what `dial()` does not take; then nothing is left of it
   */
  prepare({ backends, transport, tls }: BackendsConfig): PreparedBackends {
    const next = new Map<string, Backend>();
    const dialled: ClientConn[] = [];
    const drop = (): void => {
      for (const conn of dialled) conn.destroy();
    };
    try {
      for (const [name, config] of Object.entries(backends)) {
        const files = config.tls && (tls.get(name) ?? {});
        // With the paths of files: what is left out of a secure context would stay as it was.
        const made = JSON.stringify([config, transport]);
        const present = this.#backends.get(name);
        if (present?.made === made) {
          next.set(name, present);
          continue;
        }
        const conn = dialled[dialled.push(dialBackend(config, transport, files)) - 1]!;
        next.set(name, { conn, made, tls: files });
      }
    } catch (error) {
      drop();
      throw error;
    }
    const conns = new Map([...next].map(([name, { conn }]) => [name, conn]));
    const commit = (): void => {
      for (const [name, backend] of next) {
        if (backend.tls !== undefined) renew(backend, tls.get(name) ?? {});
      }
      const kept = new Set(conns.values());
      for (const conn of this.#conns.values()) if (!kept.has(conn)) this.#retire(conn);
      this.#backends = next;
      this.#conns = conns;
    };
    return { conns, commit, drop };
  }

  /**
   * Lets the next handshakes with a backend be made by what its files hold now; connections go on.
   *
   * @throws Error as `setSecureContext` does, with nothing changed
   */
  renewTls(name: string, tls: SecureContextOptions): void {
    const backend = this.#backends.get(name);
    if (backend?.tls !== undefined) renew(backend, tls);
  }

  /** Fails new calls, lets running ones finish; resolves when no connection is left. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const conns = [...this.#conns.values(), ...this.#retired];
    await Promise.all(conns.map((conn) => conn.close()));
  }

  /** Closes all connections at once: running calls fail with UNAVAILABLE. */
  destroy(): void {
    clearTimeout(this.#timer);
    for (const conn of [...this.#conns.values(), ...this.#retired]) conn.destroy();
  }

  /** Closes a connection when it has no calls: `close()` would fail those that still wait for it. */
  #retire(conn: ClientConn): void {
    this.#retired.add(conn);
    this.#timer ??= this.#lookLater();
  }

  // Not at once: a call may have been directed here, and not have begun.
  #lookLater(): NodeJS.Timeout {
    return setTimeout(() => this.#look(), LOOK_MILLISECONDS).unref();
  }

  #look(): void {
    for (const conn of this.#retired) {
      if (conn.channel.calls > 0) continue;
      this.#retired.delete(conn);
      void conn.close();
    }
    this.#timer = this.#retired.size > 0 ? this.#lookLater() : undefined;
  }
}

function dialBackend(
  config: BackendConfig,
  transport: TransportName | undefined,
  files: SecureContextOptions | undefined,
): ClientConn {
  const { target, targets, tls, loadBalancing, healthCheck, keepalive, authority } = config;
  const { maxConnections, maxConcurrentCalls } = config;
  return dial(targets ?? target!, {
    transport,
    loadBalancing,
    healthCheck,
    tls: tls && { ...files, servername: tls.serverName },
    authority: authority === PRESERVE ? undefined : authority,
    preserveAuthority: authority === PRESERVE,
    limits: {
      maxConnections,
      maxConcurrentCalls,
      keepalive: {
        timeMilliseconds: keepalive?.time?.milliseconds,
        timeoutMilliseconds: keepalive?.timeout?.milliseconds,
      },
    },
  });
}

/** The client's authority, in place of a fixed one. */
const PRESERVE = 'preserve';

function renew(backend: Backend, tls: SecureContextOptions): void {
  const { conn, tls: present = {} } = backend;
  if (isSame(present, tls)) return;
  conn.setSecureContext(tls);
  backend.tls = tls;
}

function isSame(one: SecureContextOptions, other: SecureContextOptions): boolean {
  return (['ca', 'cert', 'key'] as const).every((name) => {
    const [left, right] = [one[name], other[name]] as (Buffer | undefined)[];
    return left === undefined || right === undefined ? left === right : left.equals(right);
  });
}
