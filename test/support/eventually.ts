import { setTimeout as pause } from 'node:timers/promises';

/** How long what is awaited may take. */
const PATIENCE = 5000;

/** Waits for what tells nobody when it happens. */
export async function eventually(
  what: string,
  condition: () => boolean,
  milliseconds = PATIENCE,
): Promise<void> {
  const giveUpAt = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > giveUpAt) throw new Error(`${what}: not within ${milliseconds} ms`);
    await pause(2);
  }
}
