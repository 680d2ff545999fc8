import { ErrorCode } from '../../../port/error-code.js';
import type { StreamReset } from '../../../port/stream.js';

/** What is told of a stream that this side can't go on with. */
export function internalError(text: string): StreamReset {
  return { code: ErrorCode.INTERNAL_ERROR, by: 'local', text, lost: undefined };
}

/** Tells of an exception that must not end the process, whatever it is that was thrown. */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
