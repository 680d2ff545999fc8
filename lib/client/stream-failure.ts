import type { Failure } from '../call/outcome.js';
import { StatusError } from '../grpc/status.js';
import { codeFromErrorCode } from '../grpc/status-mapping.js';
import { ErrorCode, errorCodeName } from '../port/error-code.js';
import type { StreamReset } from '../port/stream.js';
import { connectionLost } from './unavailable.js';

/** The failure of a call whose stream has ended so. */
export function streamFailure(target: string, { code, by, text, lost }: StreamReset): Failure {
  if (lost !== undefined) return connectionLost(target, lost);
  const name = errorCodeName(code);
  const status = codeFromErrorCode(code);
  if (by === 'peer') {
    const why = text === undefined ? name : `${name}, ${text}`;
    return {
      error: StatusError.withoutStack(status, `${target} reset the stream: ${why}`),
      reason: 'backend_reset',
    };
  }
  const why = text === undefined ? name : `${text} (${name})`;
  return {
    error: StatusError.withoutStack(status, `the stream to ${target} failed: ${why}`),
    reason: code === ErrorCode.ENHANCE_YOUR_CALM ? 'limit' : 'backend_protocol',
  };
}
