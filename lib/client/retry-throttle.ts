import { outOfRange, wrongType } from '../port/errors.js';
import { checkOptions } from '../port/options.js';
import { CLIENT_DEFAULTS } from './defaults.js';

/** By how much the retries of a backend's calls are held back while it fails (gRFC A6, "Throttling Retry Attempts"). */
export interface RetryThrottling {
  /**
   * The tokens that there are at most, above 0 and at most 1000. An attempt that fails takes one; while no more than half
   * are left nothing is tried again. Default 200: a hundred calls that fail at once are.
   */
  readonly maxTokens?: number | undefined;
  /** What a call that succeeds gives back, above 0, to three decimal places. Default 0.1. */
  readonly tokenRatio?: number | undefined;
}

/** "must be in the range (0, 1000]" (gRPC's service config). */
const MOST_TOKENS = 1000;

/** "Up to 3 decimal places are supported" (gRFC A6): counted in whole parts, sums are exact. */
const PARTS = 1000;

/** The tokens by which the calls to one backend that have a retry policy may be tried again. */
export class RetryThrottle {
  readonly #most: number;
  readonly #ratio: number;
  #tokens: number;

  /** @throws TypeError or RangeError for a number that makes no sense */
  constructor(throttling: RetryThrottling = {}) {
    checkOptions(throttling, { maxTokens: true, tokenRatio: true }, 'retryThrottling');
    const { maxTokens = CLIENT_DEFAULTS.retryMaxTokens, tokenRatio = CLIENT_DEFAULTS.retryTokenRatio } =
      throttling;
    this.#most = checked('maxTokens', maxTokens, MOST_TOKENS);
    this.#ratio = checked('tokenRatio', tokenRatio, Number.MAX_SAFE_INTEGER / PARTS);
    this.#tokens = this.#most;
  }

  /** An attempt has failed; whether the call may be tried again. */
  onFailure(): boolean {
    this.#tokens = Math.max(0, this.#tokens - PARTS);
    return 2 * this.#tokens > this.#most;
  }

  /** A call has succeeded. */
  onSuccess(): void {
    this.#tokens = Math.min(this.#most, this.#tokens + this.#ratio);
  }
}

/** In parts, one at least. */
function checked(name: keyof RetryThrottling, value: unknown, most: number): number {
  if (typeof value !== 'number') {
    throw wrongType(`retryThrottling.${name}`, 'a number', value);
  }
  if (value > 0 && value <= most) return Math.max(1, Math.round(value * PARTS));
  throw outOfRange(`retryThrottling.${name}`, `a number above 0 and at most ${most}`, value);
}
