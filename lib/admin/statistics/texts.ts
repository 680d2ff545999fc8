import { STATISTICS_LIMITS } from '../defaults.js';

/** What stands for all that have no place of their own. */
export const OTHER = 'other';

/** A text of anybody's, no longer than it may be. */
export function cut(text: string): string {
  const { maxTextCharacters } = STATISTICS_LIMITS;
  return text.length <= maxTextCharacters ? text : `${text.slice(0, maxTextCharacters - 1)}…`;
}

/** The same of a method: two long ones would look the same, and be two. */
export function isTooLong(method: string): boolean {
  return method.length > STATISTICS_LIMITS.maxTextCharacters;
}
