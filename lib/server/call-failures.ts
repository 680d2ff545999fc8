import type { Failure, FailureReason } from '../call/outcome.js';
import { Code, StatusError } from '../grpc/status.js';
import { ErrorCode, errorCodeName } from '../port/error-code.js';
import { ownError } from '../port/errors.js';
import { copyHeaders, type HeaderList } from '../port/headers.js';
import type { StreamReset } from '../port/stream.js';

/** What a call fails with when its client's stream ends before its time. */
export function failureOfReset({ code, by, text, lost }: StreamReset): Failure {
  if (lost !== undefined) return cancelled(`the client disconnected: ${lost.text}`, 'client_gone');
  if (by === 'peer') {
    return cancelled(`the client cancelled the call (${errorCodeName(code)})`, 'client_cancelled');
  }
  if (code !== ErrorCode.ENHANCE_YOUR_CALM) {
    return cancelled(`the client broke HTTP/2: ${text ?? errorCodeName(code)}`, 'client_protocol');
  }
  const error = StatusError.withoutStack(Code.RESOURCE_EXHAUSTED, `the client's stream: ${text}`);
  return { error, reason: 'limit' };
}

/** What a call fails with whose time is over. */
export function deadlineOfCall(): Failure {
  const error = StatusError.withoutStack(Code.DEADLINE_EXCEEDED, 'the deadline of the call has passed');
  return { error, reason: 'deadline' };
}

/** What a call fails with that holds most of too much: its client, or a backend, takes too little of it. */
export function tooMuchHeld(): Failure {
  const error = StatusError.withoutStack(Code.RESOURCE_EXHAUSTED, 'too much of the call waits to be taken');
  return { error, reason: 'limit' };
}

/** What a call fails with that its interceptors have ended while it ran. */
export function endedByInterceptor(): Failure {
  return cancelled('an interceptor has ended the call', 'interceptor');
}

/** What is thrown for response headers that come too late. */
export function headersAreSent(): Error {
  return ownError('ERR_HEADERS_SENT', 'response headers have been sent already');
}

/** What a handler fails with that would proxy a call which is somebody's already. */
export function notProxied(why: string): StatusError {
  return new StatusError(Code.INTERNAL, `the call cannot be proxied: ${why}`);
}

/** An error's trailers, whatever an application's own subclass makes of them. */
export function trailersOfError(error: StatusError): HeaderList {
  try {
    // A copy: what it gives may be anything, and is read here alone.
    return copyHeaders(error.toTrailers());
  } catch {
    return StatusError.prototype.toTrailers.call(error);
  }
}

function cancelled(message: string, reason: FailureReason): Failure {
  return { error: StatusError.withoutStack(Code.CANCELLED, message), reason };
}
