import { printable } from '../transport/printable.js';
import type { Log } from './log.js';
import { RepeatedLines } from './repeated-lines.js';

const MAX_MESSAGE_CHARACTERS = 500;
const MAX_STACK_CHARACTERS = 4000;

/** Says in the log what Node would say on standard error, of which a failing `accept` could be thousands of lines. */
export function logWarnings(log: Log): void {
  // Whoever starts Node may want none.
  if (process.listenerCount('warning') === 0) return;
  const lines = new RepeatedLines((line) => log.warn(line), 'further warnings');
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message, stack = '' }) => {
    const frames = stack.slice(0, MAX_STACK_CHARACTERS).split('\n    at ').slice(1);
    const at = frames.map((frame) => `\n    at ${printable(frame, MAX_MESSAGE_CHARACTERS)}`);
    lines.add(printable(`${name}: ${message}`, MAX_MESSAGE_CHARACTERS), at.join(''));
  });
}
