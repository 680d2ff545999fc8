import { didYouMean } from './did-you-mean.js';
import { outOfRange, ownError, wrongType } from './errors.js';

// What an application gives as options, checked where it is given: it may be anything.

/** The names of a type's options, all of them: the compiler misses one that is left out here. */
export type OptionNames<T> = { readonly [Name in keyof Required<T>]: true };

/**
 * @param where what messages call the options
 * @throws TypeError for what is no object, or has a name that none of the options has
 */
export function checkOptions<T extends object>(given: T, names: OptionNames<T>, where = 'options'): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrongType(where, 'an object', given);
  }
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(names, name)) throw unknownOption(name, Object.keys(names), where);
  }
}

/** There is no such option, but perhaps one that is like it. */
export function unknownOption(name: string, names: readonly string[], where: string): TypeError {
  const meant = didYouMean(name, names);
  const rest = meant === undefined ? `: there are ${names.join(', ')}` : ` (did you mean ${meant}?)`;
  return ownError('ERR_UNKNOWN_OPTION', `there is no option ${where}.${name}${rest}`);
}

/** A function, or nothing. @throws TypeError */
export function checkFunction(name: string, value: unknown, expected = 'a function'): void {
  if (value !== undefined && typeof value !== 'function') throw wrongType(name, expected, value);
}

/**
 * An object by one of its methods: it may be another copy's of this package, or one that a test has made.
 *
 * @throws TypeError
 */
export function checkObject(name: string, expected: string, value: unknown, method: string): void {
  const isOne =
    typeof value === 'object' && value !== null && typeof Reflect.get(value, method) === 'function';
  if (!isOne) throw wrongType(name, expected, value);
}

/** True or false, or nothing, which is the default. @throws TypeError */
export function checkedFlag(name: string, value: boolean | undefined, byDefault: boolean): boolean {
  if (value === undefined) return byDefault;
  if (typeof value !== 'boolean') throw wrongType(name, 'true or false', value);
  return value;
}

/** A number of bytes, `Infinity` included, or nothing, which is the default. @throws TypeError or RangeError */
export function checkedBytes(name: string, value: number | undefined, byDefault: number): number {
  if (value === undefined) return byDefault;
  if (typeof value !== 'number') throw wrongType(name, 'a number of bytes', value);
  if (!(value >= 0)) throw outOfRange(name, 'a number of bytes from 0', value);
  return value;
}

/** A signal, or nothing. @throws TypeError */
export function checkSignal(name: string, value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) throw wrongType(name, 'an AbortSignal', value);
}

/**
 * The signal of a wait that is about to begin, which takes no other option.
 *
 * @throws TypeError for options that are none; the signal's reason if it has aborted
 */
export function signalOf(options: { readonly signal?: AbortSignal | undefined }): AbortSignal | undefined {
  checkOptions(options, { signal: true });
  const { signal } = options;
  checkSignal('signal', signal);
  signal?.throwIfAborted();
  return signal;
}
