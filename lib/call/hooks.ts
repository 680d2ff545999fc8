import { StatusError } from '../grpc/status.js';

/**
 * Runs a callback of the application that only looks on: what it throws, or its promise is rejected with, breaks
 * nothing but is emitted as a process warning. `onFailed` is told.
 */
export function tellOnlooker(callback: () => unknown, onFailed?: () => void): void {
  const failed = (error: unknown): void => {
    warn(error);
    onFailed?.();
  };
  try {
    const result = callback();
    if (result !== undefined) Promise.resolve(result).catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** Emits whatever was thrown as a process warning. Never throws, nor does the warning when it is printed. */
export function warn(error: unknown): void {
  let warning: Error | string = StatusError.from(error).message;
  try {
    if (error instanceof Error && String(error) !== '') warning = error;
  } catch {
    // An error without a usable name or message.
  }
  process.emitWarning(warning);
}
