import { types } from 'node:util';
import { StatusError } from '../grpc/status.js';
import { ownError } from '../port/errors.js';

/** A call that runs hooks in its async context. */
export interface Scoped {
  inScope<T>(hook: () => T): T;
}

/**
 * Runs a callback of the application that only looks on: what it throws, or its promise is rejected with, breaks
 * nothing but is emitted as a process warning. `onFailed` is told.
 */
export function tellOnlooker(callback: () => unknown, onFailed?: () => void): void {
  const failed = (error: unknown): void => {
    warn(error);
    onFailed?.();
  };
  let result: unknown;
  try {
    result = callback();
  } catch (error) {
    failed(error);
    return;
  }
  if (result !== undefined) void whenSettled(result, ignore, failed);
}

/** Sees to what a callback of an onlooker has returned: nothing, mostly. For where a closure for it would cost too much. */
export function seeTo(result: unknown): void {
  if (result !== undefined) void whenSettled(result, ignore, warn);
}

/**
 * Refuses what a callback has returned that must have done all when it returns, if that is a promise: nothing waits for it, and
 * Node ends the process when nobody hears of a rejection.
 *
 * @param callback its name
 * @throws TypeError
 */
export function refusePromise(result: unknown, callback: string): void {
  if (!types.isPromise(result)) return;
  seeTo(result);
  throw ownError('ERR_INVALID_ARG_TYPE', `${callback} must not return a promise: nothing waits for it`);
}

function ignore(): void {}

/**
 * Calls one of two functions, once, with what a value of the application becomes: a promise, something like one, or
 * neither. By `await`, which alone holds against promises with a `then` or a `constructor` of their own.
 */
export async function whenSettled<T>(
  value: T | PromiseLike<T>,
  onFulfilled: (value: T) => void,
  onRejected: (error: unknown) => void,
): Promise<void> {
  let fulfilled: T;
  try {
    fulfilled = await value;
  } catch (error) {
    onRejected(error);
    return;
  }
  onFulfilled(fulfilled);
}

/** Emits whatever was thrown as a process warning. Never throws, nor does the warning when it is printed. */
export function warn(error: unknown): void {
  const warning = new Error(StatusError.from(error).message, { cause: error });
  warning.name = 'Warning';
  // Not the error itself: Node reads more of it when it prints it, and what a property throws then ends the process.
  try {
    if (error instanceof Error) {
      warning.name = String(error.name);
      warning.stack = String(error.stack);
    }
  } catch {
    // An error without a usable name or stack.
  }
  process.emitWarning(warning);
}
