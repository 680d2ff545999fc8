import type { Rate } from './rate.js';

/**
 * A token bucket. It is filled whenever it is looked at: what it would have gained since it was full must not be had
 * beside what it holds.
 */
export class Bucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAt = performance.now();

  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Takes a token; false if there is none. */
  take(): boolean {
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Puts a token back. */
  give(): void {
    if (this.#tokens < this.#rate.burst) this.#tokens++;
  }

  /** Whether less than this part of the burst is left. */
  isBelow(part: number): boolean {
    this.#fill();
    return this.#tokens < part * this.#rate.burst;
  }

  #fill(): void {
    const now = performance.now();
    const refill = ((now - this.#filledAt) * this.#rate.perSecond) / 1000;
    this.#filledAt = now;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + refill);
  }
}
