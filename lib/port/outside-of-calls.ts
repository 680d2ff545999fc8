import { AsyncResource } from 'node:async_hooks';

// Not AsyncLocalStorage.snapshot(), which does the same for ten times as much.
const OUTSIDE = new AsyncResource('outside of calls');

/**
 * Runs what is for all calls outside of any call, so that it does not keep the first one's async context alive, nor show it
 * to another call.
 */
export function outsideOfCalls<T>(run: () => T): T {
  return OUTSIDE.runInAsyncScope(run);
}

/** As `setImmediate`, for what is for all calls. */
export function immediatelyOutside(run: () => void): void {
  OUTSIDE.runInAsyncScope(setImmediate, undefined, run);
}

/** As `process.nextTick`, for what is for all calls. */
export function nextTickOutside(run: () => void): void {
  OUTSIDE.runInAsyncScope(process.nextTick, process, run);
}
