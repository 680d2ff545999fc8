import type { Failure, FailureReason } from '../call/outcome.js';
import type { HeaderList } from '../port/headers.js';
import { type CheckedRetryPolicy, checkedRetryPolicy, type RetryPolicy } from './retry-policy.js';
import type { RetryThrottle } from './retry-throttle.js';

/**
 * "an ASCII encoded signed 32-bit integer with no unnecessary leading zeros that represents how many milliseconds to wait
 * before sending a retry. If the value for pushback is negative or unparseble, then it will be seen as the server asking
 * the client not to retry at all" (gRFC A6).
 */
const PUSHBACK = 'grpc-retry-pushback-ms';
const DELAY = /^(0|[1-9][0-9]{0,9})$/;
const MAX_DELAY = 2 ** 31 - 1;

/** How often one call has been tried by its policy, and whether, and when, it is tried again (gRFC A6). */
export class Retries {
  /** The attempts that came before this one: `grpc-previous-rpc-attempts`. */
  previousAttempts = 0;
  readonly #policy: CheckedRetryPolicy;
  readonly #throttle: RetryThrottle;
  /** How often it has been tried again since a backend has said when. */
  #backoffs = 0;

  private constructor(policy: CheckedRetryPolicy, throttle: RetryThrottle) {
    this.#policy = policy;
    this.#throttle = throttle;
  }

  /**
   * Of a call with this policy; undefined if it has none.
   *
   * @param option by which the policy was given
   * @throws TypeError or RangeError, which names the option, for a policy that makes no sense
   */
  static by(
    policy: RetryPolicy | undefined,
    throttle: RetryThrottle,
    option = 'callOptions.retry',
  ): Retries | undefined {
    return policy === undefined ? undefined : new Retries(checkedRetryPolicy(policy, option), throttle);
  }

  /**
   * An attempt has failed.
   *
   * @param canBeRepeated whether the call could be tried again at all
   * @returns how long to wait for the next attempt, in milliseconds; undefined: the failure is the call's
   */
  next(
    { error, reason }: Failure,
    trailers: HeaderList | undefined,
    canBeRepeated: boolean,
  ): number | undefined {
    const isMeant = isBackends(reason) && (this.#policy.codes & (1 << error.code)) !== 0;
    const pushback = trailers === undefined ? 'none' : pushbackOf(trailers);
    if (!isMeant && pushback !== 'never') return undefined;
    // Also of an attempt that cannot be repeated: the tokens say how the backend is.
    const isAllowed = this.#throttle.onFailure();
    const { maxAttempts } = this.#policy;
    if (!isMeant || !isAllowed || !canBeRepeated || pushback === 'never') return undefined;
    if (this.previousAttempts + 1 >= maxAttempts) return undefined;
    this.previousAttempts++;
    if (pushback === 'none') return this.#backoff();
    this.#backoffs = 0;
    return pushback;
  }

  /** The call has succeeded. */
  onSuccess(): void {
    this.#throttle.onSuccess();
  }

  /** "the `n`-th attempt will occur at `random(0, min(initialBackoff*backoffMultiplier**(n-1), maxBackoff))`" (gRFC A6). */
  #backoff(): number {
    const { initialBackoff, multiplier, maxBackoff } = this.#policy;
    return Math.random() * Math.min(initialBackoff * multiplier ** this.#backoffs++, maxBackoff);
  }
}

/** What this side finds by itself (a limit, a deadline) is no better at the next attempt. */
function isBackends(reason: FailureReason): boolean {
  return reason.startsWith('backend_');
}

function pushbackOf(trailers: HeaderList): number | 'none' | 'never' {
  let pushback: number | 'none' | 'never' = 'none';
  for (let i = 0; i < trailers.length; i += 2) {
    if (trailers[i] !== PUSHBACK) continue;
    const text = trailers[i + 1]!;
    const milliseconds = Number(text);
    // Several contradict each other.
    if (pushback !== 'none' || !DELAY.test(text) || milliseconds > MAX_DELAY) return 'never';
    pushback = milliseconds;
  }
  return pushback;
}
