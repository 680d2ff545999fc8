import type { DestinationOutcome, Failure, ShadowResult } from '../call/outcome.js';
import { Code } from '../grpc/status.js';
import type { ServerCall } from '../server/server-call.js';

/** How a shadow has ended that nobody here has cut. */
export function resultOf(failure: Failure | undefined): ShadowResult {
  if (failure === undefined) return 'ok';
  const { error, reason } = failure;
  const isCancelled = reason === 'deadline' || (reason === 'director' && error.code === Code.CANCELLED);
  return isCancelled ? 'cancelled' : 'error';
}

/** Tells the server's observers, if there are any. */
export function tellShadowEnd(call: ServerCall, end: DestinationOutcome, result: ShadowResult): void {
  const { method, context } = call;
  call.observation?.onShadow({ ...end, result, method, context });
}
