/** "INITIAL_BACKOFF, 1 second" (gRPC's connection-backoff.md, as the constants below). */
const INITIAL_MILLISECONDS = 1000;
const MULTIPLIER = 1.6;
const JITTER = 0.2;
const MAX_MILLISECONDS = 120_000;

/** From the end of an attempt: one that took longer than the wait must fail those that wait, too, not go on for them. */
const REST_MILLISECONDS = 100;

/** Spaces the attempts to connect to an address that fails. */
export class ConnectionBackoff {
  #delay = INITIAL_MILLISECONDS;
  /** When the next attempt may begin, on the clock of `performance.now()`. */
  #notBefore = 0;

  /** The milliseconds until the next attempt may begin; 0: now. */
  get remaining(): number {
    return Math.max(0, this.#notBefore - performance.now());
  }

  /** An attempt has failed. @param startedAt when it began: from then on the wait counts */
  onFailure(startedAt: number): void {
    const jitter = 1 + JITTER * (Math.random() * 2 - 1);
    this.#notBefore = Math.max(startedAt + this.#delay * jitter, performance.now() + REST_MILLISECONDS);
    this.#delay = Math.min(this.#delay * MULTIPLIER, MAX_MILLISECONDS);
  }

  /** The next attempt is to begin no sooner than so long after the last one, which is no failure. */
  space(startedAt: number, milliseconds: number): void {
    this.#notBefore = Math.max(this.#notBefore, startedAt + milliseconds);
  }

  /** The address has been of use. */
  reset(): void {
    this.#delay = INITIAL_MILLISECONDS;
    this.#notBefore = 0;
  }
}
