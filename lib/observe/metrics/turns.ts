import { setImmediate as nextTurn } from 'node:timers/promises';
import { METRICS_LIMITS } from './defaults.js';

/** Long work in turns of the event loop, between which calls go on. */
export class Turns {
  #endsAt = nextEnd();

  /** Calls have waited for long enough. */
  get isDue(): boolean {
    return performance.now() >= this.#endsAt;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#endsAt = nextEnd();
  }
}

function nextEnd(): number {
  return performance.now() + METRICS_LIMITS.turnMilliseconds;
}
