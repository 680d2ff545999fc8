import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import { Code } from '../grpc/status.js';
import { outOfRange, wrongType } from '../port/errors.js';

/**
 * When a call is tried again that a backend has failed (gRFC A6, "Retry Policy"): until it is committed, which it is at
 * the response headers, or when more than 64 KiB of its request have been sent. A backend that answers
 * `grpc-retry-pushback-ms` says itself when that is, or that it is not.
 */
export interface RetryPolicy {
  /** How often the call is tried in all: an integer from 2; more than 5 count as 5. */
  readonly maxAttempts: number;
  /** The status codes that are worth another attempt, at least one; OK is none. */
  readonly codes: readonly Code[];
  /** What is waited at most before the second attempt, in milliseconds; each wait is a random part of its most. */
  readonly initialBackoff: number;
  /** What is waited at most before any attempt, in milliseconds. */
  readonly maxBackoff: number;
  /** By what that most grows from one attempt to the next; above 0. */
  readonly multiplier: number;
}

/** A {@link RetryPolicy} that makes sense. */
export interface CheckedRetryPolicy {
  readonly maxAttempts: number;
  /** By bits. */
  readonly codes: number;
  readonly initialBackoff: number;
  readonly maxBackoff: number;
  readonly multiplier: number;
}

/** "higher values will be treated as equal to the maximum value", which is 5 by default (gRFC A6). */
const MOST_ATTEMPTS = 5;

/**
 * @param option by which it was given
 * @throws TypeError or RangeError, which names the option, for a policy that makes no sense
 */
export function checkedRetryPolicy(policy: RetryPolicy, option: string): CheckedRetryPolicy {
  if (typeof policy !== 'object' || policy === null) {
    throw wrongType(option, 'an object', policy);
  }
  // Each is read once: the policy is the application's, and may be anything.
  const { maxAttempts, codes, initialBackoff, maxBackoff, multiplier } = policy;
  if (numberOf(`${option}.maxAttempts`, maxAttempts) < 2 || !Number.isInteger(maxAttempts)) {
    throw outOfRange(`${option}.maxAttempts`, 'an integer from 2', maxAttempts);
  }
  return {
    maxAttempts: Math.min(maxAttempts, MOST_ATTEMPTS),
    codes: bitsOf(`${option}.codes`, codes),
    initialBackoff: aboveZero(`${option}.initialBackoff`, initialBackoff, MAX_TIMER_MILLISECONDS),
    maxBackoff: aboveZero(`${option}.maxBackoff`, maxBackoff, MAX_TIMER_MILLISECONDS),
    multiplier: aboveZero(`${option}.multiplier`, multiplier, Number.MAX_VALUE),
  };
}

function bitsOf(option: string, codes: readonly Code[]): number {
  const most = Code.UNAUTHENTICATED;
  if (!Array.isArray(codes)) throw wrongType(option, 'an array of codes', codes);
  if (codes.length < 1 || codes.length > most) {
    throw outOfRange(option, `1 to ${most} codes`, codes.length);
  }
  let bits = 0;
  for (const code of codes as readonly unknown[]) {
    if (typeof code !== 'number') throw wrongType(option, 'codes', code);
    if (!Number.isInteger(code) || code <= Code.OK || code > most) {
      throw outOfRange(option, `integers from 1 to ${most}`, code);
    }
    bits |= 1 << code;
  }
  return bits;
}

function aboveZero(option: string, value: unknown, most: number): number {
  const number = numberOf(option, value);
  if (number > 0 && number <= most) return number;
  const limit = most < Number.MAX_VALUE ? ` and at most ${most}` : ', and finite';
  throw outOfRange(option, `a number above 0${limit}`, number);
}

function numberOf(option: string, value: unknown): number {
  if (typeof value === 'number') return value;
  throw wrongType(option, 'a number', value);
}
