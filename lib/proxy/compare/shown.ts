import { COMPARE_LIMITS } from '../defaults.js';
import { bytesOf, kindOf } from './value-kinds.js';

/** A text as verdicts have it. */
export function shownText(text: string): string {
  const { maxShownCharacters } = COMPARE_LIMITS;
  return text.length > maxShownCharacters ? `${text.slice(0, maxShownCharacters)}...` : text;
}

/** Values of a field, which may be many. */
export function shownValues(values: readonly string[]): readonly string[] {
  return values.slice(0, 10).map(shownText);
}

/**
 * A decoded value as text, without asking objects for theirs.
 *
 * @throws what it throws when it is looked at
 */
export function shownValue(value: unknown): string {
  switch (kindOf(value)) {
    case 'scalar':
      return typeof value === 'string'
        ? shownText(JSON.stringify(shownText(value)))
        : shownText(String(value));
    case 'bytes': {
      const bytes = bytesOf(value);
      return shownText(
        `${bytes.length} bytes: ${bytes.subarray(0, COMPARE_LIMITS.maxShownCharacters).toString('hex')}`,
      );
    }
    case 'date':
      return `a date, ${Number(value)}`;
    case 'array':
      return `an array of ${(value as readonly unknown[]).length}`;
    case 'map':
      return `a map of ${(value as ReadonlyMap<unknown, unknown>).size}`;
    case 'function':
      return 'a function';
    case 'object':
      return 'an object';
  }
}
