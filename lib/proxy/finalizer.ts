import { tellOnlooker, warn, whenSettled } from '../call/hooks.js';
import type { Failure } from '../call/outcome.js';
import { StatusError } from '../grpc/status.js';
import type { ServerCall } from '../server/server-call.js';
import type { StreamParameters } from './director.js';

type Finalizer = NonNullable<StreamParameters['requestFinalizer']>;

/**
 * Runs a request finalizer.
 *
 * @param error what its call has failed with, if it has
 * @param onDone called once, with the finalizer's own failure if it has one
 */
export function runFinalizer(
  finalizer: Finalizer,
  call: ServerCall,
  error: StatusError | undefined,
  onDone: (own: Failure | undefined) => void,
): void {
  const onFailed = (thrown: unknown): void =>
    onDone({ error: StatusError.from(thrown), reason: 'finalizer' });
  let result: void | Promise<void>;
  try {
    result = call.inScope(() => finalizer(error));
  } catch (thrown) {
    onFailed(thrown);
    return;
  }
  if (result === undefined) onDone(undefined);
  else void whenSettled(result, () => onDone(undefined), onFailed);
}

/** Runs the finalizer of a call that has ended already: the director's time was over when it answered. */
export function finalizeLate(
  parameters: Partial<StreamParameters> | undefined,
  error: StatusError | undefined,
): void {
  try {
    // Without a primary they are no parameters.
    const finalizer = parameters?.primary === undefined ? undefined : parameters.requestFinalizer;
    // Here is where its director has answered.
    if (finalizer !== undefined) tellOnlooker(() => finalizer(error));
  } catch (thrown) {
    warn(thrown);
  }
}
