import type { Failure } from '../../call/outcome.js';
import { Code } from '../../grpc/status.js';

/** The code that a call ended with. The error may be the application's, which may have replaced what it says. */
export function codeOf(failure: Failure | undefined): Code {
  if (failure === undefined) return Code.OK;
  try {
    const { code } = failure.error;
    if (Number.isInteger(code) && code >= Code.CANCELLED && code <= Code.UNAUTHENTICATED) return code;
  } catch {
    // An error whose code cannot be read.
  }
  return Code.UNKNOWN;
}
