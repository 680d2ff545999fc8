import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import { outOfRange, wrongType } from '../port/errors.js';
import { SHADOW_DEFAULTS } from './defaults.js';
import type { ShadowDestination } from './director.js';
import { isDrawn } from './sampling.js';

// The options of a shadow that other destinations don't have, checked: they are the application's, and may be anything.

/** @throws TypeError for what is no error handler */
export function errHandlerOf({ errHandler }: ShadowDestination): ShadowDestination['errHandler'] {
  if (errHandler === undefined || typeof errHandler === 'function') return errHandler;
  throw wrongType("a shadow's errHandler", 'a function', errHandler);
}

/** Whether the shadow gets this call. @throws TypeError or RangeError */
export function isSampled({ percent, sampleKey }: ShadowDestination): boolean {
  if (sampleKey !== undefined && typeof sampleKey !== 'string') {
    throw wrongType("a shadow's sampleKey", 'a string', sampleKey);
  }
  return isDrawn(checked('percent', percent, SHADOW_DEFAULTS.percent, 100), sampleKey);
}

/** @throws TypeError or RangeError */
export function maxLagOf(maxLagBytes: ShadowDestination['maxLagBytes']): number {
  return checked('maxLagBytes', maxLagBytes, SHADOW_DEFAULTS.maxLagBytes, Infinity);
}

/** @throws TypeError or RangeError */
export function graceOf(graceMilliseconds: ShadowDestination['graceMilliseconds']): number {
  return checked(
    'graceMilliseconds',
    graceMilliseconds,
    SHADOW_DEFAULTS.graceMilliseconds,
    MAX_TIMER_MILLISECONDS,
  );
}

function checked(name: string, value: number | undefined, byDefault: number, most: number): number {
  if (value === undefined) return byDefault;
  if (typeof value !== 'number') {
    throw wrongType(`a shadow's ${name}`, 'a number', value);
  }
  if (value >= 0 && value <= most) return value;
  throw outOfRange(`a shadow's ${name}`, `a number from 0${most < Infinity ? ` to ${most}` : ''}`, value);
}
