import type { ServerCall } from '../server/server-call.js';
import type { StreamParameters } from './director.js';
import { RequestObservation } from './request-observation.js';

// What the application gives for a call beside its destinations, to be called later. Each property is read once.

/** Puts them in their places. Keeps the scope of the call if there are any. */
export function takeHooks(call: ServerCall, parameters: StreamParameters): RequestObservation | undefined {
  const { editResponseHeaders, editResponseTrailers, requestObserver } = parameters;
  if ((editResponseHeaders ?? editResponseTrailers) !== undefined) {
    call.captureScope();
    call.edits.editBy({ editResponseHeaders, editResponseTrailers });
  }
  if (requestObserver === undefined) return undefined;
  call.captureScope();
  return new RequestObservation(requestObserver, call);
}
