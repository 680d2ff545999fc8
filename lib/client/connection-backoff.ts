/** Times in milliseconds, from gRPC's connection-backoff.md; the longest wait there is 120 s, far from "comes back". */
const INITIAL_MILLISECONDS = 100;
const MULTIPLIER = 1.6;
const JITTER = 0.2;
const MAX_MILLISECONDS = 5_000;

/** Spaces the connection attempts of a call that waits for its backend. */
export class ConnectionBackoff {
  #milliseconds = INITIAL_MILLISECONDS;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `attempt` after the next wait. */
  wait(attempt: () => void): void {
    const jitter = 1 + JITTER * (Math.random() * 2 - 1);
    this.#timer = setTimeout(attempt, this.#milliseconds * jitter);
    this.#milliseconds = Math.min(this.#milliseconds * MULTIPLIER, MAX_MILLISECONDS);
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
