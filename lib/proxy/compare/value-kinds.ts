import { isAnyArrayBuffer, isDate, isMap } from 'node:util/types';
import { ownError } from '../../port/errors.js';

/** How a decoded value is compared. */
export type Kind = 'scalar' | 'function' | 'bytes' | 'date' | 'array' | 'map' | 'object';

/** @throws what a value of the application throws when it is looked at */
export function kindOf(value: unknown): Kind {
  if (typeof value === 'function') return 'function';
  if (typeof value !== 'object' || value === null) return 'scalar';
  if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) return 'bytes';
  if (isDate(value)) return 'date';
  if (isMap(value)) return 'map';
  return Array.isArray(value) ? 'array' : 'object';
}

export function bytesOf(value: unknown): Buffer {
  return ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value as ArrayBufferLike);
}

/** What tells apart arrays of bytes, of floats, and so on; of a `Buffer` it is a `Uint8Array`'s. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}

/**
 * @throws TypeError if an object's state cannot be seen: two sets, say, have no properties, and would seem the same
 */
export function checkVisible(object: object): void {
  const tag = tagOf(object);
  if (tag !== '[object Object]' && Object.keys(object).length === 0) {
    throw ownError('ERR_INVALID_ARG_VALUE', `values like ${tag} cannot be compared`);
  }
}

/** Whether a map can be compared by its keys. */
export function hasScalarKeys(map: ReadonlyMap<unknown, unknown>): boolean {
  for (const key of map.keys()) if (kindOf(key) !== 'scalar') return false;
  return true;
}
