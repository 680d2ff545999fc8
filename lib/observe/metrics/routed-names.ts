import { warn } from '../../call/hooks.js';
import { METRICS_LIMITS } from './defaults.js';

/** The methods that routes name, read anew from time to time: routes change. */
export class RoutedNames {
  readonly #methods: (() => Iterable<string>) | undefined;
  #names = new Set<string>();
  #readAt = -Infinity;

  constructor(methods: (() => Iterable<string>) | undefined) {
    this.#methods = methods;
  }

  /** @param at now, in milliseconds on any clock */
  has(name: string, at: number): boolean {
    if (this.#methods === undefined) return false;
    if (at - this.#readAt >= METRICS_LIMITS.routedNamesMilliseconds) {
      this.#readAt = at;
      this.#read(this.#methods);
    }
    return this.#names.has(name);
  }

  /** They have changed. */
  forget(): void {
    this.#readAt = -Infinity;
  }

  #read(methods: () => Iterable<string>): void {
    try {
      this.#names = new Set(methods());
    } catch (error) {
      warn(error);
    }
  }
}
