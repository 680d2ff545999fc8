import type { Account } from '../../port/account.js';

/** The lanes that there are besides the one that all share: each costs a connection of its own. */
const MAX_LANES = 16;

/** The lane of the many clients that have few calls, and that no connection has been lost with. */
export const SHARED_LANE = 0;

/**
 * A client with more streams than this shares connections with nobody who has fewer. What backends allow by connection
 * (concurrent streams, memory, resets) is then its own to use up; and 100 is what many of them allow at most, nghttp2's
 * servers for one.
 */
const MANY_STREAMS = 100;

/** One client's part in the connections to a backend. */
export class ClientShare {
  /** The streams that run for it. */
  streams = 0;
  lane = SHARED_LANE;
}

/**
 * Which clients share connections. Where a backend breaks the protocol when it answers one of them, the calls of all
 * others on that connection are lost with it, and who it was cannot be known. So those that were on it go on in two
 * halves, apart from each other and from everybody else; what is at fault soon has a lane of its own.
 */
export class Lanes {
  readonly #shares = new WeakMap<Account, ClientShare>();
  #last = SHARED_LANE;

  /** Whether all clients share one. */
  get areShared(): boolean {
    return this.#last === SHARED_LANE;
  }

  /** The part of a client, the same each time. */
  shareOf(client: Account): ClientShare {
    let share = this.#shares.get(client);
    if (share === undefined) {
      share = new ClientShare();
      this.#shares.set(client, share);
    }
    return share;
  }

  /** The lane that a client's next stream belongs to. */
  of(client: ClientShare): number {
    if (client.streams >= MANY_STREAMS && client.lane === SHARED_LANE) client.lane = this.#next();
    return client.lane;
  }

  /** A connection was lost, on which these were. */
  split(clients: ReadonlySet<ClientShare>): void {
    if (clients.size < 2) return;
    const halves = [this.#next(), this.#next()] as const;
    let isSecond = false;
    for (const client of clients) {
      client.lane = halves[isSecond ? 1 : 0];
      isSecond = !isSecond;
    }
  }

  #next(): number {
    this.#last = (this.#last % MAX_LANES) + 1;
    return this.#last;
  }
}
