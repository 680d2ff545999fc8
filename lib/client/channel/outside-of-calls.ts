import { AsyncLocalStorage } from 'node:async_hooks';

/** Runs what is for all calls outside of any call, so that it does not keep the first one's async context alive. */
export const outsideOfCalls = AsyncLocalStorage.snapshot();
