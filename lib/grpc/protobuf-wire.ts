// As much of protobuf's wire format (protobuf.dev/programming-guides/encoding) as the few messages need that are known
// here, and fields that routing goes by.

/** How a field's value is written: as a varint, as a length and so many bytes, or in a fixed number of them. */
export const VARINT = 0;
const FIXED_64 = 1;
export const LENGTH = 2;
const FIXED_32 = 5;

/** 29 bits, which is what a tag has room for. */
export const MAX_FIELD_NUMBER = 2 ** 29 - 1;

/** Ten times seven bits hold the 64 of the largest number. */
const MAX_VARINT_BYTES = 10;

/** Told a field's number, how it is written, and where its value lies; says whether the message makes sense so far. */
export type FieldVisitor = (field: number, type: number, start: number, end: number) => boolean;

/**
 * Tells of each field of a message in turn, unknown ones too. It makes no object, because a client may send millions of
 * fields. Groups, which proto3 does not have, are taken for a mistake.
 *
 * @returns whether all of it is a message, and made sense to `visit`; fields before what is none have been told
 */
export function readFields(bytes: Uint8Array, start: number, end: number, visit: FieldVisitor): boolean {
  for (let offset = start; offset < end; ) {
    const valueStart = endOfVarint(bytes, offset, end);
    if (valueStart < 0) return false;
    const tag = smallVarint(bytes, offset, valueStart);
    const field = Math.floor(tag / 8);
    if (field < 1 || field > MAX_FIELD_NUMBER) return false;
    const type = tag % 8;
    let from = valueStart;
    if (type === VARINT) {
      offset = endOfVarint(bytes, from, end);
    } else if (type === LENGTH) {
      from = endOfVarint(bytes, valueStart, end);
      offset = from < 0 ? from : from + smallVarint(bytes, valueStart, from);
    } else if (type === FIXED_64) {
      offset = from + 8;
    } else if (type === FIXED_32) {
      offset = from + 4;
    } else {
      return false;
    }
    if (offset < 0 || offset > end || !visit(field, type, from, offset)) return false;
  }
  return true;
}

/** The number that a varint is, as the signed 64 bits that every integer, bool and enum of protobuf is read from. */
export function varintAt(bytes: Uint8Array, start: number, end: number): bigint {
  let value = 0n;
  for (let at = end - 1; at >= start; at--) value = (value << 7n) | BigInt(bytes[at]! & 0x7f);
  return BigInt.asIntN(64, value);
}

/** A field whose value is a varint; none for zero, which is what a field is that is not there. */
export function varintField(field: number, value: number | bigint): Buffer {
  if (value === 0 || value === 0n) return Buffer.alloc(0);
  return Buffer.from([...varint(field * 8 + VARINT), ...varint(value)]);
}

/** A field that is text or bytes, or a message as such; also if it is empty. */
export function lengthField(field: number, value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from([...varint(field * 8 + LENGTH), ...varint(bytes.length)]), bytes]);
}

/** A field of text; none for the empty one, which is what a field is that is not there. */
export function textField(field: number, value: string): Buffer {
  return value === '' ? Buffer.alloc(0) : lengthField(field, value);
}

/** The offset behind a varint; -1 if it has no end. */
function endOfVarint(bytes: Uint8Array, start: number, end: number): number {
  const limit = Math.min(end, start + MAX_VARINT_BYTES);
  for (let at = start; at < limit; ) {
    if (bytes[at++]! < 0x80) return at;
  }
  return -1;
}

/** The number that a varint is, or one about as large, if it is larger than any tag or length can be. */
function smallVarint(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = end - 1; at >= start; at--) value = value * 128 + (bytes[at]! & 0x7f);
  return value;
}

function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 0x80n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}
