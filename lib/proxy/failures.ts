import type { Failure, FailureReason } from '../call/outcome.js';
import { Code, StatusError } from '../grpc/status.js';
import { Refusal } from './refusal.js';

/** Whose fault it is that a request could not be read. */
export function reasonOfRequest({ code }: StatusError): FailureReason {
  if (code === Code.DEADLINE_EXCEEDED) return 'deadline';
  // An encoding that is not known.
  if (code === Code.UNIMPLEMENTED) return 'rejected';
  return code === Code.RESOURCE_EXHAUSTED ? 'limit' : 'client_protocol';
}

/** Whose fault it is that a director has thrown. @param isOfPeek whether its peeks were rejected with that */
export function reasonOfDirector(error: StatusError, isOfPeek: boolean): FailureReason {
  if (error instanceof Refusal) return error.reason;
  return isOfPeek ? reasonOfRequest(error) : 'director';
}

/** What a call fails with for a secondary's failure. */
export function failureOfSecondary({ message, cause }: StatusError): Failure {
  const error = StatusError.withoutStack(Code.INTERNAL, `failed proxying to secondary: ${message}`);
  error.cause = cause;
  return { error, reason: 'secondary' };
}

/** The reasons that a client is told of a quorum's failure are cut to this, and all of it to the other: they are peers'. */
const MAX_REASON = 200;
const MAX_REASONS = 2000;

/** What a call fails with for those secondaries of a quorum that failed. */
export function failureOfQuorum(
  failed: readonly { readonly target: string; readonly error: StatusError }[],
): Failure {
  const reasons = failed
    .map(({ target, error }) => cut(`${target}: ${error.message}`, MAX_REASON))
    .join('; ');
  const message = `failed proxying to secondary: ${cut(reasons, MAX_REASONS)}`;
  const error = StatusError.withoutStack(Code.INTERNAL, message);
  error.cause = failed.find(({ error }) => error.cause !== undefined)?.error.cause;
  return { error, reason: 'secondary' };
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 3)}...`;
}

/** What destinations are cancelled for that others have made superfluous. */
export function callEnded(): Failure {
  return {
    error: StatusError.withoutStack(Code.CANCELLED, 'the call has ended'),
    reason: 'client_cancelled',
  };
}

/** What a shadow is dropped for that more is held for than may be. */
export function lagged(target: string, why: string): Failure {
  const error = StatusError.withoutStack(Code.RESOURCE_EXHAUSTED, `${target} lags: ${why}`);
  return { error, reason: 'limit' };
}

/** What a shadow is cancelled for that goes on for too long after its call. */
export function expired(target: string, graceMilliseconds: number): Failure {
  const message = `${target} has not answered within ${graceMilliseconds} ms of the call's end`;
  return { error: StatusError.withoutStack(Code.DEADLINE_EXCEEDED, message), reason: 'deadline' };
}
