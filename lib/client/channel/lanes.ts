import type { Account } from '../../port/account.js';

/** The lanes that there are besides the one that all share: each costs a connection of its own. */
const MAX_LANES = 16;

/** The lane of clients that no connection has been lost with. */
export const SHARED_LANE = 0;

/**
 * Which clients share connections. Where a backend breaks the protocol when it answers one of them, the calls of all
 * others on that connection are lost with it, and who it was cannot be known. So those that were on it go on in two
 * halves, apart from each other and from everybody else; what is at fault soon has a lane of its own.
 */
export class Lanes {
  readonly #lanes = new WeakMap<Account, number>();
  #last = SHARED_LANE;

  /** Whether all clients share one. */
  get areShared(): boolean {
    return this.#last === SHARED_LANE;
  }

  of(client: Account): number {
    return this.areShared ? SHARED_LANE : (this.#lanes.get(client) ?? SHARED_LANE);
  }

  /** A connection was lost, on which these were. */
  split(clients: ReadonlySet<Account>): void {
    if (clients.size < 2) return;
    const halves = [this.#next(), this.#next()] as const;
    let isSecond = false;
    for (const client of clients) {
      this.#lanes.set(client, halves[isSecond ? 1 : 0]);
      isSecond = !isSecond;
    }
  }

  #next(): number {
    this.#last = (this.#last % MAX_LANES) + 1;
    return this.#last;
  }
}
