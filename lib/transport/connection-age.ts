import type { ServerLimits } from './limits.js';

/** "A random jitter of +/-10% will be added to MAX_CONNECTION_AGE to spread out connection storms" (gRFC A9). */
const JITTER = 0.1;

/** How old a connection may get. */
export class ConnectionAge {
  readonly #max: number;
  readonly #grace: number;
  readonly #bornAt = performance.now();

  constructor({
    maxAgeMilliseconds,
    maxAgeGraceMilliseconds,
  }: Pick<ServerLimits, 'maxAgeMilliseconds' | 'maxAgeGraceMilliseconds'>) {
    this.#max = maxAgeMilliseconds * (1 + JITTER * (2 * Math.random() - 1));
    this.#grace = maxAgeGraceMilliseconds;
  }

  /** `old`: it is to be told to go; `over`: its calls have had their time, too. */
  at(now: number): 'young' | 'old' | 'over' {
    const beyond = now - this.#bornAt - this.#max;
    if (beyond < 0) return 'young';
    return beyond < this.#grace ? 'old' : 'over';
  }
}
