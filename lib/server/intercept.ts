import type { StreamInterceptor } from './server.js';
import type { ServerStream } from './server-stream.js';

/**
 * Runs an interceptor around `inner`. An interceptor that returns while what it called is still running does not
 * end the call by that: the outcome, an error perhaps, would be lost.
 */
export async function intercept(
  call: ServerStream,
  interceptor: StreamInterceptor,
  inner: () => Promise<void>,
): Promise<void> {
  let outcome: Promise<void> | undefined;
  let running = false;
  let returned = false;
  const next = (): Promise<void> => {
    if (outcome !== undefined) return refuse('next() has been called already: a call is handled once');
    if (returned) return refuse('next() after the interceptor has ended the call');
    running = true;
    outcome = inner().finally(() => {
      running = false;
    });
    outcome.catch(ignore);
    return outcome;
  };
  try {
    await interceptor(call, next);
  } finally {
    returned = true;
  }
  if (running) await outcome;
}

function ignore(): void {}

/** A rejection that does not end the process when the interceptor does not wait for it, but a warning does tell. */
function refuse(message: string): Promise<never> {
  const error = new Error(message);
  process.emitWarning(error);
  const refused = Promise.reject(error);
  refused.catch(ignore);
  return refused;
}
