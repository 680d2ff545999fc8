import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { Child } from './child.js';

/** The command's program. */
export const MAIN = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

/** Starts the command. */
export function startCommand(t: Test, ...args: readonly string[]): Child {
  return Child.node(t, MAIN, ...args);
}

/** The port of the first address in the line that says that it is ready. */
export async function portOf(command: Child): Promise<number> {
  const match = await command.printed(/listens at [^ ]*?:(\d+)[,;]/);
  return Number(match[1]);
}
