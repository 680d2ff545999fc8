import { wrongValue } from '../port/errors.js';
import { now } from './clock.js';

/** What `setTimeout` can wait at most; a longer wait would end at once. */
export const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;

/** Calls once a deadline has passed. */
export class DeadlineTimer {
  readonly #deadline: number;
  readonly #onPassed: () => void;
  #timer: NodeJS.Timeout;

  /** @param deadline as milliseconds since the epoch (see {@link now}) */
  constructor(deadline: number, onPassed: () => void) {
    this.#deadline = deadline;
    this.#onPassed = onPassed;
    this.#timer = this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(): NodeJS.Timeout {
    const wait = Math.min(Math.max(0, this.#deadline - now()), MAX_TIMER_MILLISECONDS);
    return setTimeout(() => this.#onTimer(), wait);
  }

  #onTimer(): void {
    // Timers may be early by a fraction of a millisecond, or have been cut to what setTimeout can.
    if (now() < this.#deadline) this.#timer = this.#arm();
    else this.#onPassed();
  }
}

/**
 * A time that the application gives, in milliseconds since the epoch. What `Number()` would make a time of, null and the empty
 * text among it, is a mistake, by which each call would be too late.
 *
 * @throws TypeError for what is no time
 */
export function checkedTime(name: string, given: number | Date): number {
  const hasValue = typeof given === 'object' && given !== null && typeof given.valueOf === 'function';
  const time: unknown = hasValue ? given.valueOf() : given;
  if (typeof time === 'number' && !Number.isNaN(time)) return time;
  throw wrongValue(name, 'a Date or milliseconds since the epoch', given);
}

/** The earlier of two deadlines, where undefined is never. */
export function earlierDeadline(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
