import { printable } from '../transport/printable.js';
import type { Log } from './log.js';
import { RepeatedLines } from './repeated-lines.js';

/** The most that is shown of a warning, and of where it comes from. */
const MAX_MESSAGE_CHARACTERS = 500;
const MAX_STACK_CHARACTERS = 4000;

/**
 * Lets the log tell of process warnings, in the place of Node: what the hooks of an application throw is one, and so may
 * come with each call. The first of a kind at once, of more only how many.
 */
export function logWarnings(log: Log): void {
  // Node's own, which prints them, unless Node was told not to. A user's stay.
  const printer = process.listeners('warning').find(({ name }) => name === 'onWarning');
  if (printer === undefined) return;
  process.off('warning', printer);
  const lines = new RepeatedLines((line) => log.warn(line), 'further warnings');
  process.on('warning', ({ name, message, stack }) => {
    const kind = printable(`${name}: ${message}`, MAX_MESSAGE_CHARACTERS);
    lines.add(kind, framesOf(stack) ?? 'of this process');
  });
}

/** Where it comes from, without what it says. */
function framesOf(stack: string | undefined): string | undefined {
  const from = stack?.search(/^\s+at /m) ?? -1;
  return from < 0 ? undefined : stack!.slice(from, from + MAX_STACK_CHARACTERS).trimStart();
}
