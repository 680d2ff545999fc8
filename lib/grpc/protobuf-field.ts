import { isUtf8 } from 'node:buffer';
import { outOfRange, ownError, wrongType } from '../port/errors.js';
import { LENGTH, MAX_FIELD_NUMBER, readFields, VARINT, varintAt } from './protobuf-wire.js';

/**
 * A text field of a protobuf message, without its schema: `protobufString(payload, 3)` is the field with the number 3, and
 * `protobufString(payload, 3, 1)` field 1 of the message that is field 3. It is what a backend reads: the empty text if the
 * field is not there, the last value if it is there repeatedly, also within repeated parts of one message.
 *
 * @param message a message's payload, inflated
 * @returns undefined if a backend would refuse the message: it is none of protobuf, ends early, or the text is not UTF-8
 * @throws RangeError if the path is empty or holds what is no field number; TypeError for what is no Uint8Array
 */
export function protobufString(message: Uint8Array, ...path: number[]): string | undefined {
  const found = lastValue(message, path, LENGTH);
  if (found === undefined) return undefined;
  const bytes = Buffer.from(message.buffer, message.byteOffset + found.start, found.end - found.start);
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

/**
 * An integer field of a protobuf message, without its schema: an int64 as it is; a uint64 above 2^63 - 1 as
 * `BigInt.asUintN(64, value)`; of the types sint32 and sint64 the encoded number. The path is as that of
 * {@link protobufString}; a field that is not there is 0n. Fixed-size types are not read.
 *
 * Of an int32, uint32, bool or enum it is what a client that means well has sent. Another may send more bits, which backends
 * cut off: where that matters, read an int32 or enum as `BigInt.asIntN(32, value)`, a uint32 as `BigInt.asUintN(32, value)`,
 * and a bool as `value !== 0n`.
 *
 * @param message a message's payload, inflated
 * @returns undefined if a backend would refuse the message: it is none of protobuf, or ends early
 * @throws RangeError if the path is empty or holds what is no field number; TypeError for what is no Uint8Array
 */
export function protobufInteger(message: Uint8Array, ...path: number[]): bigint | undefined {
  const found = lastValue(message, path, VARINT);
  return found === undefined ? undefined : varintAt(message, found.start, found.end);
}

/** Where a value lies; both are equal if there is none. */
interface Span {
  start: number;
  end: number;
}

/**
 * The last value at `path`: of numbers and strings "the parser accepts the last value it sees", and of messages it "merges
 * multiple instances of the same field" (protobuf.dev, "Last One Wins"). What has another wire type than the schema says is
 * an unknown field, here as in a backend: else a client could have it routed by what the backend doesn't read.
 */
function lastValue(message: Uint8Array, path: readonly number[], type: number): Span | undefined {
  // All else has no bytes, so that each field would be the zero of its type: what `peek()` gives, say, in place of its payload.
  if (!(message instanceof Uint8Array)) throw wrongType('a message', 'a Uint8Array', message);
  if (path.length === 0) throw ownError('ERR_OUT_OF_RANGE', 'a path must have at least one field number');
  for (const field of path) {
    if (!Number.isInteger(field) || field < 1 || field > MAX_FIELD_NUMBER) {
      throw outOfRange('a field number', `an integer from 1 to ${MAX_FIELD_NUMBER}`, field);
    }
  }
  const found: Span = { start: 0, end: 0 };
  const search = (start: number, end: number, depth: number): boolean => {
    const isLeaf = depth === path.length - 1;
    return readFields(message, start, end, (field, fieldType, valueStart, valueEnd) => {
      if (field !== path[depth]) return true;
      if (!isLeaf) return fieldType !== LENGTH || search(valueStart, valueEnd, depth + 1);
      if (fieldType === type) {
        found.start = valueStart;
        found.end = valueEnd;
      }
      return true;
    });
  };
  return search(0, message.length, 0) ? found : undefined;
}
