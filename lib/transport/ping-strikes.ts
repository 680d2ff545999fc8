import type { PermittedKeepalive } from './limits.js';

/** "MAX_PING_STRIKES = 2" (gRFC A8, "Server Enforcement"). */
const MAX_STRIKES = 2;

/** What a client without calls is permitted: "no less than two hours" (gRFC A8). */
const WITHOUT_CALLS_MILLISECONDS = 2 * 60 * 60 * 1000;

/** Counts the PINGs of one client that come sooner than is permitted, by the algorithm of gRFC A8. */
export class PingStrikes {
  readonly #permitted: PermittedKeepalive;
  #strikes = 0;
  #validAt = Number.NEGATIVE_INFINITY;

  private constructor(permitted: PermittedKeepalive) {
    this.#permitted = permitted;
  }

  /** Undefined if any PING is permitted. */
  static of(permitted: PermittedKeepalive): PingStrikes | undefined {
    return permitted.timeMilliseconds > 0 ? new PingStrikes(permitted) : undefined;
  }

  /** HEADERS or DATA have been sent: a PING behind them may measure how fast they went. */
  reset(): void {
    this.#strikes = 0;
    this.#validAt = Number.NEGATIVE_INFINITY;
  }

  /** A PING has come: whether there have been too many of them. */
  isExceededBy(now: number, hasCalls: boolean): boolean {
    const { timeMilliseconds, withoutCalls } = this.#permitted;
    const interval = hasCalls || withoutCalls ? timeMilliseconds : WITHOUT_CALLS_MILLISECONDS;
    if (now - this.#validAt >= interval) {
      this.#validAt = now;
      return false;
    }
    this.#strikes++;
    return this.#strikes > MAX_STRIKES;
  }
}
