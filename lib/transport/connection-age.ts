import type { ServerLimits } from './limits.js';

/** "A per-connection random jitter of +/-10% will be added to MAX_CONNECTION_AGE to spread out connection storms" (gRFC A9). */
const JITTER = 0.1;

/** How old a connection may get. */
export class ConnectionAge {
  readonly #max: number;
  readonly #grace: number;
  readonly #bornAt: number;
  /** When its client was told for good to go. */
  #toldAt = Number.POSITIVE_INFINITY;

  constructor(
    {
      maxAgeMilliseconds,
      maxAgeGraceMilliseconds,
    }: Pick<ServerLimits, 'maxAgeMilliseconds' | 'maxAgeGraceMilliseconds'>,
    now = performance.now(),
  ) {
    this.#max = maxAgeMilliseconds * (1 + JITTER * (2 * Math.random() - 1));
    this.#grace = maxAgeGraceMilliseconds;
    this.#bornAt = now;
  }

  /** The last GOAWAY has been sent: "the maximum time the connection will be kept alive" is "relative to the second" (gRFC A9). */
  onLastGoaway(now = performance.now()): void {
    this.#toldAt = Math.min(this.#toldAt, now);
  }

  /** `old`: it is to be told to go; `over`: its calls have had their time, too. */
  at(now: number): 'young' | 'old' | 'over' {
    const oldAt = this.#bornAt + this.#max;
    if (now < oldAt) return 'young';
    // Where the server has told it to go before, its calls have until it is old for that.
    return now - Math.max(oldAt, this.#toldAt) >= this.#grace ? 'over' : 'old';
  }
}
