import { AsyncResource } from 'node:async_hooks';
import type { CallContext } from '../call/context.js';
import type { Failure } from '../call/outcome.js';
import { StatusError } from '../grpc/status.js';
import { ownError } from '../port/errors.js';
import type { StreamHandler, StreamInterceptor } from './handler.js';
import { runHandler } from './run-handler.js';
import type { ServerCall } from './server-call.js';
import type { ServerStream } from './server-stream.js';

/** Runs a call's handler inside of the interceptors, the first outermost, and ends the call as they say. */
export function runIntercepted(
  call: ServerCall,
  handler: StreamHandler,
  interceptors: readonly StreamInterceptor[],
): void {
  // In a context of its own: `AsyncLocalStorage.enterWith` would reach all calls of the connection else.
  void new AsyncResource('ServerCall').runInAsyncScope(run, undefined, call, handler, interceptors);
}

async function run(
  call: ServerCall,
  handler: StreamHandler,
  interceptors: readonly StreamInterceptor[],
): Promise<void> {
  let inner: Failure | undefined;
  let next = (): Promise<void> =>
    new Promise((resolve, reject) => {
      call.interceptOutcome((failure) => {
        inner = failure;
        if (failure === undefined) resolve();
        else reject(failure.error);
      });
      // What observers hear at the end is to be in the async context that the interceptors have made.
      if (call.observation !== undefined) call.captureScope();
      if (call.cancellation === undefined) runHandler(call, handler);
      else call.settle(call.cancellation);
    });
  for (const interceptor of interceptors.toReversed()) {
    const inside = next;
    next = () => intercept(call, interceptor, inside);
  }
  try {
    await next();
    call.end(undefined);
  } catch (thrown) {
    const error = StatusError.from(thrown);
    call.end(inner?.error === error ? inner : { error, reason: 'interceptor' });
  }
}

/**
 * Runs an interceptor around `inner`. An interceptor that returns while what it called is still running does not
 * end the call by that: the outcome, an error perhaps, would be lost.
 */
async function intercept(
  stream: ServerStream,
  interceptor: StreamInterceptor,
  inner: () => Promise<void>,
): Promise<void> {
  let outcome: Promise<void> | undefined;
  let running = false;
  let returned = false;
  const next = (context?: CallContext): Promise<void> => {
    if (outcome !== undefined) return refuse('next() has been called already: a call is handled once');
    if (returned) return refuse('next() after the interceptor has ended the call');
    // Not as a rejection: who does not wait for it must not end the call OK without its handler.
    if (context !== undefined) stream.context = context;
    running = true;
    outcome = inner().finally(() => {
      running = false;
    });
    outcome.catch(ignore);
    return outcome;
  };
  try {
    await interceptor(stream, next);
  } finally {
    returned = true;
  }
  if (running) await outcome;
}

function ignore(): void {}

/** A rejection that does not end the process when the interceptor does not wait for it, but a warning does tell. */
function refuse(message: string): Promise<never> {
  const error = ownError('ERR_NEXT_CALLED', message);
  process.emitWarning(error);
  const refused = Promise.reject(error);
  refused.catch(ignore);
  return refused;
}
