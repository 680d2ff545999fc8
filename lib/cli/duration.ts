const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/**
 * Reads a duration, `250ms`, `5s` or `2m`.
 *
 * @returns milliseconds
 * @throws TypeError that says what a duration looks like
 */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9})(ms|s|m)$/.exec(text);
  if (match === null) throw new TypeError(`${JSON.stringify(text)} is no duration: give 250ms, 5s or 2m`);
  return Number(match[1]) * UNITS[match[2]!]!;
}
