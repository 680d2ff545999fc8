import type { ClientConnection } from '../../port/connection.js';
import type { Endpoint } from './endpoint.js';
import type { ClientShare } from './lanes.js';
import type { OutlierDetection } from './outlier-detection.js';
import type { PickedConnection, Picker } from './picker.js';
import { CONNECTING, IDLE, READY, type SubchannelState } from './subchannel-state.js';

/** How soon an address is looked at again that could not even be dialled. */
const RETRY_MILLISECONDS = 1000;

/** Where to begin to look for room, in a list that is not empty. */
export type Order = (ready: readonly Endpoint[]) => number;

/** One after the other. */
export function roundRobin(): Order {
  let turn = 0;
  return ({ length }) => {
    turn = turn + 1 < length ? turn + 1 : 0;
    return turn;
  };
}

/** That of two at random which has fewer calls ("power of two choices"). */
export function leastRequest(): Order {
  return (ready) => {
    const { length } = ready;
    if (length === 1) return 0;
    const one = Math.floor(Math.random() * length);
    const other = (one + 1 + Math.floor(Math.random() * (length - 1))) % length;
    return ready[one]!.calls <= ready[other]!.calls ? one : other;
  };
}

/**
 * Spreads calls over all the addresses of a backend that are READY. It keeps connections to all of them: those that are
 * lost, or could not be made, it makes anew as calls come and their backoff allows.
 */
export class Balancer implements Picker {
  readonly #order: Order;
  readonly #outliers: OutlierDetection | undefined;
  #endpoints: readonly Endpoint[] = [];
  #ready: Endpoint[] = [];
  #ejected: Endpoint[] = [];
  #lastFailed: Endpoint | undefined;
  /** When an address is to be dialled that has no connection, on the clock of `performance.now()`. */
  #redialAt = Number.POSITIVE_INFINITY;
  /** Whose turn it is to have one more connection. */
  #growth = 0;

  constructor(order: Order, outliers: OutlierDetection | undefined) {
    this.#order = order;
    this.#outliers = outliers;
  }

  /** These are the addresses now. */
  update(endpoints: readonly Endpoint[]): void {
    this.#endpoints = endpoints;
    this.#outliers?.update(endpoints);
    this.onChanged();
  }

  /** The state of one of them has changed. */
  onChanged(changed?: Endpoint): void {
    if (changed?.state.name === 'failed') this.#lastFailed = changed;
    const ready = this.#endpoints.filter(({ state }) => state.name === 'ready');
    this.#ready = ready.filter(({ isEjected }) => !isEjected);
    this.#ejected = ready.filter(({ isEjected }) => isEjected);
    this.#scheduleRedial();
  }

  get state(): SubchannelState {
    if (this.#ready.length + this.#ejected.length > 0) return READY;
    let state: SubchannelState | undefined;
    for (const endpoint of this.#endpoints) {
      const { name } = endpoint.state;
      if (name === 'ready') return READY;
      if (name === 'connecting') state = CONNECTING;
      else if (name === 'idle') state ??= IDLE;
    }
    if (state !== undefined) return state;
    const last = this.#lastFailed?.state;
    return last?.name === 'failed' ? last : this.#endpoints[0]!.state;
  }

  pick(client: ClientShare, refused?: ClientConnection): PickedConnection | undefined {
    if (this.#redialAt !== Number.POSITIVE_INFINITY && this.#redialAt <= performance.now()) this.#redial();
    return this.#pickOf(this.#ready, client, refused) ?? this.#pickOf(this.#ejected, client, refused);
  }

  #pickOf(
    ready: readonly Endpoint[],
    client: ClientShare,
    refused: ClientConnection | undefined,
  ): PickedConnection | undefined {
    const { length } = ready;
    if (length === 0) return undefined;
    const first = this.#order(ready);
    // Where it was refused there may be other connections, but another address is better.
    let last: Endpoint | undefined;
    for (let i = 0; i < length; i++) {
      const endpoint = ready[(first + i) % length]!;
      if (refused !== undefined && endpoint.hasMade(refused)) {
        last = endpoint;
        continue;
      }
      const picked = endpoint.pick(client, refused);
      if (picked !== undefined) return picked;
    }
    return last?.pick(client, refused);
  }

  connect(client?: ClientShare): void {
    for (const endpoint of this.#endpoints) if (endpoint.state.name !== 'ready') endpoint.connect(client);
    // Also while others are being dialled: they may never answer. Where one cannot have more, another may.
    for (let i = 0; i < this.#ready.length; i++) if (this.#nextToGrow()?.connect(client)) return;
  }

  connectForRefused(client: ClientShare): void {
    if (this.#ready.length > 0) this.#nextToGrow()?.connectForRefused(client);
    else this.connect(client);
  }

  backoffMilliseconds(client: ClientShare): number {
    let least = Number.POSITIVE_INFINITY;
    for (const endpoint of this.#endpoints) least = Math.min(least, endpoint.backoffMilliseconds(client));
    return least;
  }

  nextAttemptMilliseconds(client: ClientShare): number {
    let least = Number.POSITIVE_INFINITY;
    for (const each of this.#endpoints) least = Math.min(least, each.nextAttemptMilliseconds(client));
    return least;
  }

  /** Leaves nothing behind. */
  stop(): void {
    this.#outliers?.stop();
  }

  #nextToGrow(): Endpoint | undefined {
    this.#growth++;
    return this.#ready[this.#growth % this.#ready.length];
  }

  #redial(): void {
    for (const endpoint of this.#endpoints) if (endpoint.state.name !== 'ready') endpoint.connect();
    this.#scheduleRedial(RETRY_MILLISECONDS);
  }

  #scheduleRedial(soonest = 0): void {
    let wait = Number.POSITIVE_INFINITY;
    for (const endpoint of this.#endpoints) {
      const { name } = endpoint.state;
      if (name === 'idle' || name === 'failed') wait = Math.min(wait, endpoint.backoffMilliseconds());
    }
    this.#redialAt = performance.now() + Math.max(soonest, wait);
  }
}
