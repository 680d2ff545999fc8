import { outOfRange, wrongType } from '../port/errors.js';
import { unknownOption } from '../port/options.js';
import type { GivenLimits } from './limits.js';

type Limits = Readonly<Record<string, unknown>>;

/** The limits that cannot be turned off by `Infinity`: what SETTINGS carry in 32 bits, and what a timer waits. */
const MOST: Readonly<Record<string, number>> = {
  maxHeaderListBytes: 2 ** 32 - 1,
  maxConcurrentStreams: 2 ** 32 - 1,
  connectTimeoutMilliseconds: 2 ** 31 - 1,
  handshakeTimeoutMilliseconds: 2 ** 31 - 1,
};

/**
 * The limits that an application has given, with the defaults for those that it has not.
 *
 * @param where the option that they were given by, for messages
 * @throws TypeError for a limit that there is none, or one of another type; RangeError for a number that makes no sense
 */
export function checkedLimits<T extends object>(
  given: GivenLimits<T> | undefined,
  defaults: T,
  where: string,
): T {
  if (given === undefined) return defaults;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrongType(where, 'an object', given);
  }
  const limits = { ...defaults } as Record<string, unknown>;
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, name)) throw unknownOption(name, Object.keys(defaults), where);
    const byDefault = (defaults as Limits)[name];
    if (value === undefined) continue;
    limits[name] = checked(value, byDefault, name, `${where}.${name}`);
  }
  return limits as T;
}

function checked(value: unknown, byDefault: unknown, name: string, where: string): unknown {
  switch (typeof byDefault) {
    case 'object':
      return checkedLimits(value as Limits, byDefault as Limits, where);
    case 'boolean':
      return checkedBoolean(value, where);
    default:
      return checkedNumber(value, name, byDefault === 0, where);
  }
}

function checkedBoolean(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw wrongType(where, 'a boolean', value);
  return value;
}

/** @param mayBeZero what is off by default can also be turned off */
function checkedNumber(value: unknown, name: string, mayBeZero: boolean, where: string): number {
  if (typeof value !== 'number') throw wrongType(where, 'a number', value);
  const isMeasure = name.endsWith('Milliseconds') || name === 'perSecond';
  const most = MOST[name] ?? Infinity;
  if (value === 0 && mayBeZero) return value;
  if (value > 0 && value <= most && (isMeasure || value === Infinity || Number.isInteger(value)))
    return value;
  const expected = `${isMeasure ? 'a number' : 'an integer'} ${mayBeZero ? 'from' : 'above'} 0`;
  throw outOfRange(where, most < Infinity ? `${expected} and at most ${most}` : expected, value as number);
}
