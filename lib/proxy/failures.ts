import type { Failure, FailureReason } from '../call/outcome.js';
import { Code, StatusError } from '../grpc/status.js';

/** Whose fault it is that a request could not be read. */
export function reasonOfRequest({ code }: StatusError): FailureReason {
  if (code === Code.DEADLINE_EXCEEDED) return 'deadline';
  return code === Code.RESOURCE_EXHAUSTED ? 'limit' : 'client_protocol';
}

/** What a call fails with for a secondary's failure. */
export function failureOfSecondary({ message, cause }: StatusError): Failure {
  const error = StatusError.withoutStack(Code.INTERNAL, `failed proxying to secondary: ${message}`);
  error.cause = cause;
  return { error, reason: 'secondary' };
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
