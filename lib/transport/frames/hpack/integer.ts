import { CompressionError } from './compression-error.js';

/**
 * More octets than any index, length or table size that is of use here takes. "Integer encodings that
 * exceed implementation limits -- in value or octet length -- MUST be treated as decoding errors" (RFC 7541
 * section 5.1).
 */
const MAX_CONTINUATION_OCTETS = 4;

/** Where a reader stands in a field block. */
export interface BlockCursor {
  block: Buffer;
  position: number;
  end: number;
}

/**
 * Reads the octets behind a prefix whose bits are all set (RFC 7541 section 5.1), and moves the cursor
 * behind them. `prefix` is the prefix' value, 2^N-1.
 */
export function readIntegerRest(cursor: BlockCursor, prefix: number): number {
  let value = prefix;
  for (let octets = 0; octets < MAX_CONTINUATION_OCTETS; octets++) {
    if (cursor.position >= cursor.end) throw new CompressionError('integer is cut off');
    const octet = cursor.block[cursor.position++]!;
    value += (octet & 0x7f) << (7 * octets);
    if ((octet & 0x80) === 0) return value;
  }
  throw new CompressionError('integer is too large');
}

/** The most octets that {@link writeInteger} writes for a number below 2^31. */
export const MAX_INTEGER_OCTETS = 6;

/**
 * Writes an integer with an N-bit prefix, `prefix` being 2^N-1, into the octet at `position` whose other
 * bits are `pattern`. Returns the position behind it.
 */
export function writeInteger(
  target: Uint8Array,
  position: number,
  pattern: number,
  prefix: number,
  value: number,
): number {
  if (value < prefix) {
    target[position] = pattern | value;
    return position + 1;
  }
  target[position] = pattern | prefix;
  let at = position + 1;
  let rest = value - prefix;
  while (rest >= 0x80) {
    target[at++] = 0x80 | (rest & 0x7f);
    rest >>>= 7;
  }
  target[at++] = rest;
  return at;
}
