import { BUCKETS, type BucketCounts, bucketOf, SLOT_SECONDS, SLOTS, sparse } from './latencies.js';
import type { MethodStatistics } from './snapshot.js';

/** Seconds that are kept: a power of two over {@link HISTORY_SECONDS}, and the one that is being counted. */
const KEPT_SECONDS = 64;
const MASK = KEPT_SECONDS - 1;

/** How far back a history goes. */
export const HISTORY_SECONDS = 60;

/** Who ended a call: for nobody is it an error that a client went away. */
export type CallEnd = 'ok' | 'failed' | 'cancelled';

/** What is counted of the calls of one route and method. The last minute is in rings, by whole seconds of the clock. */
export class MethodCounts {
  readonly route: string | undefined;
  readonly method: string;
  /** Another route's of the same method. */
  next: MethodCounts | undefined;
  #calls = 0;
  #failed = 0;
  #cancelled = 0;
  readonly #callsBySecond = new Uint32Array(KEPT_SECONDS);
  readonly #failedBySecond = new Uint32Array(KEPT_SECONDS);
  readonly #latencies = new Uint32Array(SLOTS * BUCKETS);
  readonly #callsBySlot = new Uint32Array(SLOTS);
  /** What the rings have come to. */
  #second: number;
  #lastCallSecond: number;

  constructor(route: string | undefined, method: string, second: number) {
    this.route = route;
    this.method = method;
    this.#second = second;
    this.#lastCallSecond = second;
  }

  get lastCallSecond(): number {
    return this.#lastCallSecond;
  }

  add(second: number, milliseconds: number, end: CallEnd): void {
    if (second > this.#second) this.#goOn(second);
    // One that comes late counts where it has a place: the clocks of calls and the order of their ends agree but nearly.
    const age = this.#second - second;
    this.#lastCallSecond = second;
    this.#calls++;
    if (end === 'failed') this.#failed++;
    else if (end === 'cancelled') this.#cancelled++;
    if (!(age >= 0 && age <= HISTORY_SECONDS)) return;
    this.#callsBySecond[second & MASK]!++;
    if (end === 'failed') this.#failedBySecond[second & MASK]!++;
    const slot = Math.floor(second / SLOT_SECONDS) % SLOTS;
    this.#latencies[slot * BUCKETS + bucketOf(milliseconds)]!++;
    this.#callsBySlot[slot]!++;
  }

  /** Adds the totals of one that gives up its place. */
  addTotals(other: MethodCounts): void {
    this.#calls += other.#calls;
    this.#failed += other.#failed;
    this.#cancelled += other.#cancelled;
  }

  snapshot(second: number): MethodStatistics {
    if (second > this.#second) this.#goOn(second);
    const calls: number[] = [];
    const failed: number[] = [];
    for (let age = 0; age <= HISTORY_SECONDS; age++) {
      calls.push(this.#callsBySecond[(this.#second - age) & MASK]!);
      failed.push(this.#failedBySecond[(this.#second - age) & MASK]!);
    }
    const latencies: BucketCounts[] = [];
    const last = Math.floor(this.#second / SLOT_SECONDS);
    for (let age = 0; age < SLOTS; age++) {
      const slot = (last - age) % SLOTS;
      latencies.push(sparse(this.#latencies, slot * BUCKETS, this.#callsBySlot[slot]!));
    }
    return {
      route: this.route ?? null,
      method: this.method,
      calls: this.#calls,
      failed: this.#failed,
      cancelled: this.#cancelled,
      callsBySecond: trimmed(calls, (count) => count === 0),
      failedBySecond: trimmed(failed, (count) => count === 0),
      latenciesBySlot: trimmed(latencies, (counts) => counts.length === 0),
    };
  }

  /** Makes room in the rings for a later second. */
  #goOn(second: number): void {
    const from = Math.max(this.#second + 1, second - MASK);
    for (let each = from; each <= second; each++) {
      this.#callsBySecond[each & MASK] = 0;
      this.#failedBySecond[each & MASK] = 0;
    }
    const slot = Math.floor(second / SLOT_SECONDS);
    const fromSlot = Math.max(Math.floor(this.#second / SLOT_SECONDS) + 1, slot - SLOTS + 1);
    for (let each = fromSlot; each <= slot; each++) {
      const start = (each % SLOTS) * BUCKETS;
      this.#latencies.fill(0, start, start + BUCKETS);
      this.#callsBySlot[each % SLOTS] = 0;
    }
    this.#second = second;
  }
}

/** Without the empty ones at the end. */
function trimmed<T>(values: T[], isEmpty: (value: T) => boolean): T[] {
  let { length } = values;
  while (length > 0 && isEmpty(values[length - 1]!)) length--;
  values.length = length;
  return values;
}
