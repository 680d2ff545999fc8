import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import {
  type CallOutcome,
  type ClientConn,
  type DialOptions,
  dial,
  Server,
  type ServerOptions,
  type StreamDirector,
  transparentHandler,
} from '../../lib/index.js';
import { startEchoBackend } from '../support/echo-backend.js';
import { Http2Client } from '../support/http2-client.js';
import { type OnAccept, RawBackend } from './raw-backend.js';
import { RawConnection, type RawOptions } from './raw-connection.js';
import { Resources, withoutCounting } from './resources.js';
import type { Setting } from './setting.js';
import { violated } from './violated.js';

/** Who may break HTTP/2: the peers at the server's side, or at the side of the backends. */
export interface Breaking {
  readonly server?: boolean;
  readonly client?: boolean;
}

/**
 * A proxy, its peers, and what becomes of them: when a run is over its peers leave first; then the server and the
 * connections to backends must close, and nothing may be held.
 */
export class Arena {
  /** Of all calls so far. */
  readonly outcomes: CallOutcome[] = [];
  readonly #setting: Setting;
  readonly #listeners = new Map<Socket, number>();
  readonly #clients: Http2Client[] = [];
  readonly #peers: RawConnection[] = [];
  readonly #servers: Server[] = [];
  readonly #conns: ClientConn[] = [];
  readonly #backends: { close(): Promise<void> }[] = [];

  private constructor(setting: Setting) {
    this.#setting = setting;
  }

  /**
   * Runs something in an arena of its own.
   *
   * @param breaking what can't be closed, but must be destroyed: on node:http2 a connection whose peer has broken the
   *   protocol may stay, and be found out only after its keepalive (NODE-HTTP2.md, "Zombie sessions")
   * @throws what does not hold, and what is held
   */
  static async run(
    setting: Setting,
    breaking: Breaking,
    run: (arena: Arena) => Promise<void>,
  ): Promise<void> {
    const resources = new Resources();
    const arena = new Arena(setting);
    try {
      await run(arena);
      await arena.#close(breaking);
      await ended('all that was held to be free', resources.gone(), () => resources.describe());
    } finally {
      await arena.#destroy();
    }
  }

  /** A server whose every call goes where the director says; its port. */
  async proxy(director: StreamDirector, options: ServerOptions = {}): Promise<number> {
    const server = new Server({
      transport: this.#setting.server,
      unknownServiceHandler: transparentHandler((ctx, ...rest) => {
        this.#watch(ctx.socket);
        return director(ctx, ...rest);
      }),
      observer: { onCall: (outcome) => this.outcomes.push(outcome) },
      ...this.#setting.wire.serverOptions,
      ...options,
    });
    this.#servers.push(server);
    const address = await server.listen('127.0.0.1:0');
    return address.port;
  }

  /** The connections to a backend on a port of the loopback interface. */
  dial(port: number, options: DialOptions = {}): ClientConn {
    const { wire, client: transport } = this.#setting;
    const conn = dial(wire.target(port), { transport, ...wire.dialOptions, ...options });
    this.#conns.push(conn);
    return conn;
  }

  /** A backend that sends back what it gets, and the connections to it. */
  async echo(): Promise<ClientConn> {
    const backend = await startEchoBackend(this.#setting.wire);
    this.#backends.push(backend);
    return this.dial(backend.port);
  }

  /** A backend that does what it is told. */
  async backend(onAccept: OnAccept): Promise<RawBackend> {
    const backend = await RawBackend.start(this.#setting.wire, onAccept);
    this.#backends.push(backend);
    return backend;
  }

  /** Closes something with the backends. */
  closeLast(backend: { close(): Promise<void> }): void {
    this.#backends.push(backend);
  }

  /** A client without malice, on node:http2. */
  client(port: number): Http2Client {
    const client = new Http2Client(port, this.#setting.wire);
    this.#clients.push(client);
    return client;
  }

  /** A client that does what it is told. */
  async peer(port: number, options: RawOptions = {}): Promise<RawConnection> {
    const peer = new RawConnection(await this.#setting.wire.connect(port), 'client', options);
    this.#peers.push(peer);
    return peer;
  }

  /** Something that is waited for later; it may fail before. */
  beside<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => {});
    return promise;
  }

  /** Remembers how many listeners a connection's socket had at its first call. */
  #watch(socket: Socket): void {
    if (!this.#listeners.has(socket)) this.#listeners.set(socket, countListeners(socket));
  }

  /** Calls must leave no listener on what they share. */
  #checkListeners(): void {
    for (const [socket, before] of this.#listeners) {
      const after = countListeners(socket);
      // One that is on its way out waits for its end.
      if (socket.writable && after > before) violated(`${after - before} listeners are left on a socket`);
    }
  }

  async #close({ server, client }: Breaking): Promise<void> {
    this.#checkListeners();
    await this.#leave();
    const destroys = (side: 'server' | 'client', breaks = false) => breaks && this.#setting[side] === 'http2';
    if (destroys('server', server)) for (const server of this.#servers) server.destroy();
    const closed = Promise.all(this.#servers.map((server) => server.close()));
    await ended('the server to close', closed);
    if (destroys('client', client)) for (const conn of this.#conns) conn.destroy();
    await ended('connections to close', Promise.all(this.#conns.map((conn) => conn.close())));
    await this.#destroy();
  }

  async #leave(): Promise<void> {
    await Promise.all(this.#peers.splice(0).map((peer) => peer.leave('destroy')));
    const clients = this.#clients.splice(0);
    await Promise.all(
      clients.map(async ({ session }) => {
        if (session.destroyed) return;
        const closed = new Promise((resolve) => session.once('close', resolve));
        // Not `close()`: Node does not end each stream that is over (`collectAnswer`).
        session.destroy();
        await closed;
      }),
    );
    await turn();
  }

  async #destroy(): Promise<void> {
    for (const peer of this.#peers.splice(0)) peer.socket.destroy();
    for (const client of this.#clients.splice(0)) client.destroy();
    for (const server of this.#servers.splice(0)) server.destroy();
    for (const conn of this.#conns.splice(0)) conn.destroy();
    await Promise.all(this.#backends.splice(0).map((backend) => backend.close()));
  }
}

function countListeners(socket: Socket): number {
  return socket.eventNames().reduce((sum, name) => sum + socket.listenerCount(name), 0);
}

/** No run takes so long on any machine, unless it hangs. */
const HANG_MILLISECONDS = 60_000;

/** The promise, unless it hangs: then an error that names what was waited for. */
export async function ended<T>(what: string, promise: Promise<T>, describe = () => ''): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hung = new Promise<never>((_resolve, reject) => {
    timer = withoutCounting(() =>
      setTimeout(() => reject(new Error(`waited in vain for ${what} ${describe()}`)), HANG_MILLISECONDS),
    );
  });
  try {
    return await Promise.race([promise, hung]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until something holds that has no event, or several; not for ever. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  let hung = false;
  const poll = async (): Promise<void> => {
    while (!condition() && !hung) {
      await withoutCounting(() => new Promise((resolve) => setTimeout(resolve, 1)));
    }
  };
  await ended(what, poll()).finally(() => {
    hung = true;
  });
}
