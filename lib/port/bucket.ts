import type { Rate } from './rate.js';

/** A token bucket, filled when it is empty and looked at, so that it costs nothing while nobody misbehaves. */
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
    if (this.#tokens < 1) this.#fill();
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
    const most = part * this.#rate.burst;
    if (this.#tokens >= most) return false;
    this.#fill();
    return this.#tokens < most;
  }

  #fill(): void {
    const now = performance.now();
    const refill = ((now - this.#filledAt) * this.#rate.perSecond) / 1000;
    this.#filledAt = now;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + refill);
  }
}
