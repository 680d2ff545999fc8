import type { Failure } from '../call/outcome.js';

/** What can fail a proxied call, each undefined as long as it has not. */
export interface Failures {
  /** The client went away, its time was over, or its bytes were no messages. */
  readonly client: Failure | undefined;
  readonly primary: Failure | undefined;
  /** Of the first secondary that failed. */
  readonly secondary: Failure | undefined;
  readonly finalizer: Failure | undefined;
}

/** What the client is told; undefined: the primary's OK. */
export function decisiveFailure({ client, primary, secondary, finalizer }: Failures): Failure | undefined {
  return client ?? primary ?? secondary ?? finalizer;
}
