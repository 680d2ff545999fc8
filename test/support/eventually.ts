import { setTimeout as pause } from 'node:timers/promises';

/** How long what is awaited may take: long beside what it does take, since other tests run at the same time. */
const PATIENCE = 20_000;

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
