import { z } from 'zod';
import { DURATION_FORMS, type Duration, parseDuration } from './duration.js';
import { parseSize, SIZE_FORMS, type Size } from './size.js';
import { wants, wantsOneOf } from './words.js';

// What values of a config are, and in which words it is told when they are none.

/** A text that is more than any text. @param check throws an Error that says what is wrong */
export function text(noun: string, forms: string, check: (text: string) => void = () => {}) {
  return z.string({ error: wants(`no ${noun}`, forms) }).superRefine((value, ctx) => {
    const problem = problemOf(() =>
      value === '' ? fail(wants(noun, forms)({ input: null })) : check(value),
    );
    if (problem !== undefined) ctx.addIssue(problem);
  });
}

/** A text that may be empty. */
export function anyText(noun: string, forms: string) {
  return z.string({ error: wants(`no ${noun}`, forms) });
}

/** A text that stands for something else. @param parse throws an Error that says what is wrong */
function textFor<T>(noun: string, forms: string, parse: (text: string) => T) {
  return z.string({ error: wants(`no ${noun}`, forms) }).transform((value, ctx): T => {
    let parsed: T | undefined;
    const problem = problemOf(() => {
      parsed = parse(value);
    });
    if (problem !== undefined) ctx.addIssue(problem);
    return problem === undefined ? parsed! : z.NEVER;
  });
}

/** A time of any length. */
export const duration = textFor<Duration>('duration', DURATION_FORMS, (value) => ({
  text: value,
  milliseconds: parseDuration(value),
}));

/** A time that is not nothing. */
export const time = textFor<Duration>('duration', DURATION_FORMS, (value) => {
  const milliseconds = parseDuration(value);
  if (milliseconds === 0) throw new TypeError(`${JSON.stringify(value)} is no time at all: give more`);
  return { text: value, milliseconds };
});

/** A number of bytes. */
export const size = z.union(
  [
    textFor<Size>('size', SIZE_FORMS, (value) => ({ text: value, bytes: parseSize(value) })),
    z
      .number({ error: wants('no size', SIZE_FORMS) })
      .int({ error: wants('no size', SIZE_FORMS) })
      .min(0, { error: wants('no size', SIZE_FORMS) })
      .transform((bytes): Size => ({ text: String(bytes), bytes })),
  ],
  { error: wants('no size', SIZE_FORMS) },
);

/** A whole number in a range. */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER) {
  const forms =
    most === Number.MAX_SAFE_INTEGER
      ? `a whole number from ${least}`
      : `a whole number from ${least} to ${most}`;
  const error = wants('none', forms);
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error });
}

/** Any number in a range. */
export function number(least: number, most: number) {
  const error = wants('none', `a number from ${least} to ${most}`);
  return z.number({ error }).min(least, { error }).max(most, { error });
}

/** True or false. */
export const flag = z.boolean({ error: wants('none', 'true or false') });

/** One of some words. */
export function oneOf<const T extends readonly string[]>(words: T) {
  return z.enum(words as unknown as [T[number], ...T[number][]], { error: wantsOneOf(words) });
}

/** A file's path. */
export const filePath = text('path', 'the path of a file', (path) => {
  if (path.includes('\0')) throw new TypeError('is no path: there is a NUL in it');
});

/** Keys that are known; others are mistakes. */
export function keys<T extends z.ZodRawShape>(shape: T) {
  const known = Object.keys(shape);
  const error = wants('no mapping', `keys: ${known.join(', ')}`);
  // Of unknown keys zod tells by one issue, whatever their number: its message is what is known here.
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? known.join(SEPARATOR) : error(issue)),
  });
}

const SEPARATOR = ' ';

/** The keys that are known where some are not. @param message of the issue */
export function knownKeys(message: string): string[] {
  return message.split(SEPARATOR);
}

/** A list of at least one. */
export function list<T extends z.ZodType>(item: T, noun: string) {
  const forms = `a list of ${noun}`;
  return z
    .array(item, { error: wants('no list', forms) })
    .min(1, { error: `is an empty list: give ${forms}` });
}

/** A list of at least one, or that one. */
export function oneOrMore<T extends z.ZodType>(item: T, noun: string, forms: string) {
  return z
    .union([item, list(item, noun)], { error: wants('none', forms) })
    .transform((value): z.output<T>[] => (Array.isArray(value) ? value : [value]) as z.output<T>[]);
}

/** Anything but a mistake that keeps others from being told: runs whatever else is wrong with an object. */
export const ALWAYS = {
  when: ({ value }: { readonly value: unknown }) => typeof value === 'object' && value !== null,
};

/** What an Error that is thrown says. */
export function problemOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function fail(message: string): never {
  throw new TypeError(message);
}
