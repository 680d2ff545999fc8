import type { Account } from '../../port/account.js';

/** The lanes of either kind that there are, besides the one that all share: each costs a connection of its own. */
const MAX_LANES = 16;

/** Connections that lanes leave to all others. */
const SPARE_CONNECTIONS = 2;

/**
 * A client with more streams than this shares connections with nobody who has fewer. What backends allow by connection
 * (concurrent streams, memory, resets) is then its own to use up; and 100 is what many of them allow at most, nghttp2's
 * servers for one.
 */
const MANY_STREAMS = 100;

/** Which connections to a backend a client's streams go on. */
export class Lane {
  /**
   * - `shared`: of the many clients that have few streams, and that no connection has been lost with;
   * - `heavy`: of clients that have many streams: others' connections are better than none;
   * - `suspect`: of clients that were on a connection when the backend broke the protocol: others' connections are taboo.
   */
  constructor(readonly kind: 'shared' | 'heavy' | 'suspect') {}
}

/** One client's part in the connections to a backend. */
export class ClientShare {
  /** The streams that run for it. */
  streams = 0;
  /** The connections that were lost to a broken protocol with nobody else on them. */
  faults = 0;
  /** Undefined: the shared one. */
  lane: Lane | undefined;
}

/**
 * Which clients share connections. Where a backend breaks the protocol when it answers one of them, the calls of all
 * others on that connection are lost with it, and who it was cannot be known. So those that were on it go on in two
 * halves, apart from each other and from everybody else; what is at fault soon has a lane of its own.
 */
export class Lanes {
  readonly shared = new Lane('shared');
  /** Whether any client has another. */
  areUsed = false;
  readonly #shares = new WeakMap<Account, ClientShare>();
  readonly #lanes: Readonly<Record<'heavy' | 'suspect', Lane[]>> = { heavy: [], suspect: [] };
  readonly #given = { heavy: 0, suspect: 0 };
  readonly #most: number;
  #lastClient: Account | undefined;
  #lastShare = new ClientShare();

  constructor(maxConnections: number) {
    this.#most = Math.min(MAX_LANES, maxConnections - SPARE_CONNECTIONS);
  }

  /** The part of a client, the same each time. */
  shareOf(client: Account): ClientShare {
    // Calls of one client come together, and a look into the table costs as much as all else here.
    if (client === this.#lastClient) return this.#lastShare;
    let share = this.#shares.get(client);
    if (share === undefined) {
      share = new ClientShare();
      this.#shares.set(client, share);
    }
    this.#lastClient = client;
    this.#lastShare = share;
    return share;
  }

  /** The lane that a client's next stream belongs to. */
  of(client: ClientShare): Lane {
    if (client.lane === undefined && client.streams >= MANY_STREAMS) client.lane = this.#next('heavy');
    return client.lane ?? this.shared;
  }

  /** A connection was lost, on which these were. */
  split(clients: ReadonlySet<ClientShare>): void {
    if (clients.size === 0) return;
    if (clients.size === 1) {
      for (const client of clients) this.#blame(client);
      return;
    }
    const halves = [this.#next('suspect'), this.#next('suspect')] as const;
    let isSecond = false;
    for (const client of clients) {
      client.lane = halves[isSecond ? 1 : 0];
      isSecond = !isSecond;
    }
  }

  /** It was alone: that can happen to anybody once. */
  #blame(client: ClientShare): void {
    client.faults++;
    if (client.faults > 1 && client.lane?.kind !== 'suspect') client.lane = this.#next('suspect');
  }

  #next(kind: 'heavy' | 'suspect'): Lane | undefined {
    if (this.#most <= 0) return undefined;
    this.areUsed = true;
    const lanes = this.#lanes[kind];
    const index = this.#given[kind]++ % this.#most;
    lanes[index] ??= new Lane(kind);
    return lanes[index];
  }
}
