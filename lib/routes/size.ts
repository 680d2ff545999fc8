/** A number of bytes in a checked config. */
export interface Size {
  /** As the file says it: `1MiB`. */
  readonly text: string;
  /** The same as a number. */
  readonly bytes: number;
}

/** What one looks like, for messages. */
export const SIZE_FORMS = '64KiB, 1MiB or a number of bytes';

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/**
 * Reads a size: `64KiB`, `1MiB`, `512B`, `1GiB`.
 *
 * @returns bytes
 * @throws TypeError that says what a size looks like
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,12})(B|KiB|MiB|GiB)$/.exec(text);
  const bytes = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new TypeError(`${JSON.stringify(text)} is no size: give ${SIZE_FORMS}`);
}
