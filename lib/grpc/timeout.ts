import { outOfRange } from '../port/errors.js';

// "Timeout → "grpc-timeout" TimeoutValue TimeoutUnit; TimeoutValue → {positive integer as ASCII string of at most
// 8 digits}" (PROTOCOL-HTTP2.md)
const TIMEOUT = /^([0-9]{1,8})([HMSmun])$/;
const MAX_VALUE = 99_999_999;

/** TimeoutUnit, from the most precise: nanoseconds, microseconds, milliseconds, seconds, minutes, hours. */
const UNITS = ['n', 'u', 'm', 'S', 'M', 'H'] as const;
type Unit = (typeof UNITS)[number];

const UNITS_PER_MILLISECOND: Readonly<Record<Unit, number>> = {
  n: 1e6,
  u: 1e3,
  m: 1,
  S: 1 / 1000,
  M: 1 / 60_000,
  H: 1 / 3_600_000,
};

/** A `grpc-timeout` in milliseconds, fractional if need be; undefined if it is malformed. Zero is accepted. */
export function parseTimeout(text: string): number | undefined {
  const match = TIMEOUT.exec(text);
  if (!match) return undefined;
  return toMilliseconds(Number(match[1]), match[2] as Unit);
}

/**
 * A time span as `grpc-timeout`: in the most precise unit that eight digits have room for, rounded up, so that it
 * never falls short. Nothing left (zero or less) is `1n`, for the value must be positive; more than 99999999
 * hours is just that.
 *
 * @throws RangeError if it is not a number
 */
export function formatTimeout(milliseconds: number): string {
  if (Number.isNaN(milliseconds)) throw outOfRange('a timeout', 'a number of milliseconds', milliseconds);
  if (milliseconds <= 0) return '1n';
  for (const unit of UNITS) {
    let value = Math.floor(milliseconds * UNITS_PER_MILLISECOND[unit]);
    // Rounded up by comparing, because the product itself may have been rounded, either way.
    while (value <= MAX_VALUE && toMilliseconds(value, unit) < milliseconds) value++;
    if (value <= MAX_VALUE) return `${value}${unit}`;
  }
  return `${MAX_VALUE}H`;
}

// Divides where the factor is a fraction: 1e-6 has no exact binary form, 1e6 has.
function toMilliseconds(value: number, unit: Unit): number {
  switch (unit) {
    case 'n':
      return value / 1e6;
    case 'u':
      return value / 1e3;
    case 'm':
      return value;
    case 'S':
      return value * 1000;
    case 'M':
      return value * 60_000;
    case 'H':
      return value * 3_600_000;
  }
}
