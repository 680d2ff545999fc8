import type { ServerCall } from '../server/server-call.js';
import type { StreamParameters } from './director.js';

// What the application gives for a call beside its destinations, to be called later. Each property is read once.

/** Lets hooks change the response's metadata. */
export function letEditResponse(call: ServerCall, parameters: StreamParameters): void {
  const { editResponseHeaders, editResponseTrailers } = parameters;
  if ((editResponseHeaders ?? editResponseTrailers) === undefined) return;
  call.captureScope();
  call.edits.editBy({ editResponseHeaders, editResponseTrailers });
}
