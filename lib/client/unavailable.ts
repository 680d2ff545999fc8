import type { Failure } from '../call/outcome.js';
import { Code, StatusError } from '../grpc/status.js';
import type { ConnectionEnd } from '../port/connection-end.js';

/** The failure of a call for which no connection could be made. */
export function cannotConnect(target: string, end: ConnectionEnd): Failure {
  return {
    error: unavailable(`cannot connect to ${target}: ${end.text}`, end),
    reason: 'backend_connect',
  };
}

/** The failure of a call whose connection was lost. */
export function connectionLost(target: string, end: ConnectionEnd): Failure {
  return {
    error: unavailable(`the connection to ${target} was lost: ${end.text}`, end),
    reason: end.cause === 'protocol' ? 'backend_protocol' : 'backend_connection_lost',
  };
}

function unavailable(message: string, { error: cause }: ConnectionEnd): StatusError {
  const error = StatusError.withoutStack(Code.UNAVAILABLE, message);
  if (cause !== undefined) error.cause = cause;
  return error;
}
