import { tellOnlooker } from '../call/hooks.js';
import type { DestinationOutcome, Failure, ShadowOutcome, ShadowResult } from '../call/outcome.js';
import { Code } from '../grpc/status.js';
import type { ServerCall } from '../server/server-call.js';

/** How a shadow has ended that nobody here has cut. */
export function resultOf(failure: Failure | undefined): ShadowResult {
  if (failure === undefined) return 'ok';
  const { error, reason } = failure;
  const isCancelled = reason === 'deadline' || (reason === 'director' && error.code === Code.CANCELLED);
  return isCancelled ? 'cancelled' : 'error';
}

/** Tells the server's observer, if there is one. */
export function tellShadowEnd(call: ServerCall, end: DestinationOutcome, result: ShadowResult): void {
  const { observer } = call.owner;
  if (observer === undefined) return;
  const { method, context } = call;
  const outcome: ShadowOutcome = { ...end, result, method, context };
  call.inScope(() => tellOnlooker(() => observer.onShadow?.(outcome)));
}
