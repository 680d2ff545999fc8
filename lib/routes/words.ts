import { didYouMean } from '../port/did-you-mean.js';

// The words in which mistakes are told: what is wrong, and what would be right.

/** Longer texts are cut where they are shown. */
const MAX_SHOWN = 60;

/** More names than these are not listed. */
const MAX_LISTED = 16;

/** What an editor, a log or a terminal would take for more than a letter. */
const ILLEGIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;

/** A text on one line, with nothing in it that a terminal obeys. */
export function legible(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
  return cut.replace(ILLEGIBLE, '?');
}

/** A value as it was given, or what it is. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(legible(value, MAX_SHOWN));
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'function' || typeof value === 'symbol'
    ? `a ${typeof value}`
    : legible(String(value), MAX_SHOWN);
}

/** What zod tells of a value that is of another type than it must be. */
interface WrongValue {
  readonly input?: unknown;
}

/** The message for what is none. @param noun what it is to be, as `no duration` @param forms what that looks like */
export function wants(noun: string, forms: string): (issue: WrongValue) => string {
  return ({ input }) => {
    if (input === undefined) return `is missing: give ${forms}`;
    return input === null ? `is empty: give ${forms}` : `${shown(input)} is ${noun}: give ${forms}`;
  };
}

/** The message for what is none of some words. */
export function wantsOneOf(words: readonly string[]): (issue: WrongValue) => string {
  const forms = listed(words, 'or');
  return ({ input }) => {
    if (input === undefined || input === null) return wants('none', forms)({ input });
    return `${shown(input)} is none: give ${forms}${meant(input, words)}`;
  };
}

/** A question at the end of a message, if there is one. */
export function meant(word: unknown, names: Iterable<string>): string {
  const name = typeof word === 'string' ? didYouMean(word, names) : undefined;
  return name === undefined ? '' : ` (did you mean ${JSON.stringify(name)}?)`;
}

/** The message for a key that there is none of. */
export function unknownKey(key: string, known: readonly string[]): string {
  const question = meant(key, known);
  return question === '' ? `is no key here: there are ${listed(known, 'and')}` : `is no key here${question}`;
}

/** The message for a backend that there is none of. @param guesses says which one was meant, if one is like it */
export function unknownBackend(name: string, known: readonly string[], guesses: boolean): string {
  const question = guesses ? meant(name, known) : '';
  const rest =
    known.length === 0
      ? ': "backends" names none'
      : question === ''
        ? `: there are ${listed(known, 'and')}`
        : question;
  return `there is no backend ${shown(name)}${rest}`;
}

function listed(words: readonly string[], conjunction: 'and' | 'or'): string {
  if (words.length > MAX_LISTED) return `${words.slice(0, MAX_LISTED).join(', ')} ${conjunction} others`;
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}`;
}
