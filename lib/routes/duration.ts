import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';

/** A time in a checked config. */
export interface Duration {
  /** As the file, or a flag, says it: `5s`. */
  readonly text: string;
  /** The same as a number. */
  readonly milliseconds: number;
}

/** What one looks like, for messages. */
export const DURATION_FORMS = '250ms, 5s or 2m';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/**
 * Reads a duration, `250ms`, `5s` or `2m`.
 *
 * @returns milliseconds
 * @throws TypeError that says what a duration looks like, or that no timer can wait for so long
 */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m)$/.exec(text);
  if (match === null) throw new TypeError(`${JSON.stringify(text)} is no duration: give ${DURATION_FORMS}`);
  const milliseconds = Number(match[1]) * UNITS[match[2]!]!;
  if (milliseconds <= MAX_TIMER_MILLISECONDS) return milliseconds;
  throw new TypeError(`${JSON.stringify(text)} is too long: give at most ${MOST}`);
}

const MOST = `${Math.floor(MAX_TIMER_MILLISECONDS / UNITS.m!)}m`;
