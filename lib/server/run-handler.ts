import { whenSettled } from '../call/hooks.js';
import { StatusError } from '../grpc/status.js';
import type { StreamHandler } from './handler.js';
import type { ServerCall } from './server-call.js';

/** Runs a call's handler, and settles the call with what becomes of it. */
export function runHandler(call: ServerCall, handler: StreamHandler): void {
  let result: void | Promise<void>;
  try {
    result = handler(call);
  } catch (error) {
    fail(call, error);
    return;
  }
  if (result === undefined) {
    call.onHandled(undefined);
  } else {
    void whenSettled(
      result,
      () => call.onHandled(undefined),
      (error) => fail(call, error),
    );
  }
}

function fail(call: ServerCall, error: unknown): void {
  call.onHandled({ error: StatusError.from(error), reason: 'handler' });
}
