import { outOfRange, wrongType } from '../../port/errors.js';
import { METRICS_LIMITS } from './defaults.js';
import { RecentNames } from './recent-names.js';
import { RoutedNames } from './routed-names.js';

/** What gRPC's paths are made of (PROTOCOL-HTTP2, Path), and nothing that commands a terminal. */
const NAMEABLE = new RegExp(`^/[\\x21-\\x7e]{1,${METRICS_LIMITS.maxMethodCharacters}}$`);

/** Which methods are counted under their own names: clients choose those, and each costs memory for ever. */
export class MethodNames {
  #max: number;
  readonly #routed: RoutedNames;
  /** Paths that a backend has answered once. */
  readonly #answered: RecentNames;
  #taken = 0;

  constructor(max: number, methods: (() => Iterable<string>) | undefined) {
    this.#max = max;
    this.#routed = new RoutedNames(methods);
    this.#answered = new RecentNames(max);
  }

  /** From now on at most so many are taken in all: those that have been stay. */
  limit(max: number): void {
    this.#max = max;
    this.#answered.limit(max);
    if (this.#taken >= max) this.#answered.clear();
  }

  /**
   * Takes a path whose name has not been taken, if it may be: routes name it, or it has been answered before.
   *
   * @param at now, in milliseconds on any clock
   */
  takes(path: string, at: number): boolean {
    if (!path.startsWith('/')) return false;
    if (this.#routed.has(path.slice(1), at)) return true;
    if (this.#taken >= this.#max || !this.#answered.has(path)) return false;
    this.#taken++;
    if (this.#taken >= this.#max) this.#answered.clear();
    return true;
  }

  /** A backend knows this path. */
  onAnswered(path: string): void {
    if (this.#taken < this.#max && NAMEABLE.test(path)) this.#answered.add(path);
  }

  /** Routes have changed. */
  forgetRouted(): void {
    this.#routed.forget();
  }
}

/** @throws TypeError or RangeError for what is no number of methods */
export function checkedMaxMethods(maxMethods: unknown): number {
  if (typeof maxMethods !== 'number') {
    throw wrongType('maxMethods', 'a number', maxMethods);
  }
  if (Number.isInteger(maxMethods) && maxMethods >= 0) return maxMethods;
  throw outOfRange('maxMethods', 'an integer from 0', maxMethods);
}
