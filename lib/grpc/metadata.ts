import { inspect } from 'node:util';
import { brand } from '../port/brand.js';
import { ownError, wrongType } from '../port/errors.js';
import { copyHeaders, type HeaderList, isHeaderList } from '../port/headers.js';
import { shownAs } from '../port/shown.js';
import { isConnectionHeader, isReservedHeader } from './reserved-headers.js';
import { isSecretName } from './secret-names.js';

/** What a name's values are: bytes if it ends in `-bin`, else text; either if the name is not known. */
export type MetadataValue<Name extends string> = string extends Name
  ? string | Buffer
  : Lowercase<Name> extends `${string}-bin`
    ? Buffer
    : string;

/** What a name's values can be set to; see {@link MetadataValue}. */
export type MetadataInput<Name extends string> = string extends Name
  ? string | Uint8Array
  : Lowercase<Name> extends `${string}-bin`
    ? Uint8Array
    : string;

/** What a {@link Metadata} can be made of: pairs, or an object with a value or an array of values per name. */
export type MetadataInit =
  | Iterable<readonly [name: string, value: string | Uint8Array]>
  | Readonly<Record<string, string | Uint8Array | readonly (string | Uint8Array)[]>>;

/** How {@link Metadata.set} and {@link Metadata.append} treat a field. */
export interface MetadataFieldOptions {
  /** Keeps every value of this name out of HPACK's tables on all hops: for credentials. Default: false. */
  readonly neverIndexed?: boolean;
}

// "Header-Name → 1*( %x30-39 / %x61-7A / "_" / "-" / ".") ; 0-9 a-z _ - ." (PROTOCOL-HTTP2.md)
const NAME = /^[0-9a-z_.-]+$/;
// "ASCII-Value → 1*( %x20-%x7E ) ; space and printable ASCII"; HTTP and all implementations know empty ones, too.
const ASCII_VALUE = /^[\x20-\x7e]*$/;
const BASE64 = /^[0-9A-Za-z+/]*={0,2}$/;

/**
 * A call's custom metadata: an ordered list of fields, repeats kept apart. Names are in lower case, whatever
 * case they are asked for in. A name that ends in `-bin` has bytes for values (base64 on the wire), any other
 * printable ASCII text.
 *
 *     const metadata = new Metadata({ 'x-tenant': 'acme', 'x-trace-bin': Buffer.from([1, 2]) });
 *
 * @category Start here
 */
export class Metadata implements Iterable<[name: string, value: string]> {
  #fields: HeaderList = [];

  /**
   * @param init what it is made of; nothing by default
   * @throws TypeError as {@link append} does
   */
  constructor(init?: MetadataInit) {
    if (init === undefined) return;
    if (Metadata.#isOwn(init)) {
      this.#fields = copyHeaders(init.#fields);
    } else if (init instanceof Metadata) {
      this.#fields = fieldsOfAnotherCopy(init);
    } else if (isPairs(init)) {
      for (const [name, value] of init) this.append(name, value);
    } else {
      for (const [name, values] of Object.entries(init)) {
        if (typeof values === 'string' || values instanceof Uint8Array) this.append(name, values);
        else if (Array.isArray(values)) for (const value of values) this.append(name, value);
        else throw wrong(`metadata "${name}" takes a string, bytes, or an array of them`);
      }
    }
  }

  /** @internal The metadata itself, or what it can be made of: of another copy of this package a copy. */
  static of(init: Metadata | MetadataInit): Metadata {
    return Metadata.#isOwn(init) ? init : new Metadata(init);
  }

  static #isOwn(value: unknown): value is Metadata {
    return typeof value === 'object' && value !== null && #fields in value;
  }

  /**
   * The metadata of a header list or of trailers: all fields but the pseudo-header fields and those that are reserved (see
   * {@link append}). Values are taken as they came, unchecked.
   */
  static fromHeaders(headers: HeaderList): Metadata {
    const metadata = new Metadata();
    const fields = metadata.#fields;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i]!;
      if (!name.startsWith(':') && !isReservedHeader(name)) fields.push(name, headers[i + 1]!);
    }
    if (headers.neverIndexed) fields.neverIndexed = headers.neverIndexed;
    return metadata;
  }

  /** The number of fields; a name that is repeated counts each time. */
  get size(): number {
    return this.#fields.length / 2;
  }

  /**
   * The first value of `name`, or undefined.
   *
   * @throws TypeError if it is a `-bin` value that is not base64 (a peer can send anything)
   */
  get<Name extends string>(name: Name): MetadataValue<Name> | undefined;
  get(name: string): string | Buffer | undefined {
    const key = keyOf(name);
    const text = this.#text(key);
    if (text === undefined || !isBinary(key)) return text;
    const comma = text.indexOf(',');
    return decodeBase64(key, comma < 0 ? text : text.slice(0, comma));
  }

  /**
   * All values of `name`, in order; empty if there is none.
   *
   * @throws TypeError as {@link get} does
   */
  getAll<Name extends string>(name: Name): MetadataValue<Name>[];
  getAll(name: string): (string | Buffer)[] {
    const key = keyOf(name);
    const values: (string | Buffer)[] = [];
    for (let i = 0; i < this.#fields.length; i += 2) {
      if (this.#fields[i] !== key) continue;
      const text = this.#fields[i + 1]!;
      if (!isBinary(key)) {
        values.push(text);
        continue;
      }
      // "Implementations must split Binary-Headers on "," before decoding the Base64-encoded values"
      // (PROTOCOL-HTTP2.md): any hop may have joined them.
      for (const part of text.split(',')) values.push(decodeBase64(key, part));
    }
    return values;
  }

  /** Whether there is a field called `name`. */
  has(name: string): boolean {
    return this.#text(keyOf(name)) !== undefined;
  }

  /**
   * Replaces every field called `name` by one, at the end of the list.
   *
   * @throws TypeError as {@link append} does, with nothing changed
   */
  set<Name extends string>(name: Name, value: MetadataInput<Name>, options?: MetadataFieldOptions): this {
    const key = checkedName(name);
    const text = encodedValue(key, value);
    this.delete(key);
    this.#push(key, text, options);
    return this;
  }

  /**
   * Adds a field at the end of the list. Spaces around a text are not kept.
   *
   * @throws TypeError if the name has characters other than `0-9 a-z _ - .` or is reserved: a field of the connection, as
   *   `te` and `host`, or one that gRPC itself speaks by, as `content-type` and `grpc-timeout`; if a `-bin` name gets anything
   *   but bytes, or any other name anything but printable ASCII text
   */
  append<Name extends string>(name: Name, value: MetadataInput<Name>, options?: MetadataFieldOptions): this {
    const key = checkedName(name);
    this.#push(key, encodedValue(key, value), options);
    return this;
  }

  /** Removes every field called `name`; whether there was one. */
  delete(name: string): boolean {
    const key = keyOf(name);
    const fields = this.#fields;
    let kept = 0;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === key) continue;
      fields[kept++] = fields[i]!;
      fields[kept++] = fields[i + 1]!;
    }
    const found = kept < fields.length;
    fields.length = kept;
    return found;
  }

  /** The fields in order, values as they are on the wire: `-bin` values in base64, not split. */
  *[Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) yield [fields[i]!, fields[i + 1]!];
  }

  /** An independent copy. */
  clone(): Metadata {
    return new Metadata(this);
  }

  /** The fields as a new header list, with the names that must never be indexed. */
  toHeaders(): HeaderList {
    return copyHeaders(this.#fields);
  }

  /**
   * The values of each name, as they are on the wire, for logs: `[hidden]` in the place of those that are never indexed, or
   * whose name looks secret (with `auth`, `cookie`, `credential`, `jwt`, `key`, `pass`, `secret`, `session`, `signature` or
   * `token` in it). `util.inspect` shows the same. To send it on there is {@link toHeaders}.
   */
  toJSON(): Record<string, string[]> {
    const values = new Map<string, string[]>();
    const neverIndexed = new Set(this.#fields.neverIndexed);
    for (const [name, value] of this) {
      const shown = isSecretName(name) || neverIndexed.has(name) ? HIDDEN : value;
      const others = values.get(name);
      if (others === undefined) values.set(name, [shown]);
      else others.push(shown);
    }
    // It defines them: a name may be `__proto__`.
    return Object.fromEntries(values);
  }

  /** @internal */
  [inspect.custom](): object | string {
    return shown(() => this.toJSON());
  }

  #text(key: string): string | undefined {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === key) return fields[i + 1];
    }
    return undefined;
  }

  #push(key: string, text: string, options: MetadataFieldOptions | undefined): void {
    const fields = this.#fields;
    fields.push(key, text);
    if (options?.neverIndexed && !fields.neverIndexed?.includes(key)) {
      // A new array: the old one may be shared with the list that it came from.
      fields.neverIndexed = [...(fields.neverIndexed ?? []), key];
    }
  }
}

brand(Metadata, 'Metadata');

const HIDDEN = '[hidden]';

const shown = shownAs('Metadata');

/** @throws TypeError for what has a list of no fields */
function fieldsOfAnotherCopy(metadata: Metadata): HeaderList {
  const headers: unknown = metadata.toHeaders();
  if (!isHeaderList(headers)) throw wrong('metadata of another copy of grpc-frame-proxy has no header list');
  return Metadata.fromHeaders(headers).toHeaders();
}

/** @throws TypeError for what is no object */
function isPairs(init: MetadataInit): init is Iterable<readonly [string, string | Uint8Array]> {
  if (typeof init !== 'object' || init === null) {
    throw wrongType('metadata', 'pairs, or an object of values by name', init);
  }
  return typeof Reflect.get(init, Symbol.iterator) === 'function';
}

function isBinary(key: string): boolean {
  return key.endsWith('-bin');
}

/** @throws TypeError for what is no text */
function keyOf(name: string): string {
  if (typeof name !== 'string') throw wrongType('a name of metadata', 'a string', name);
  return name.toLowerCase();
}

function checkedName(name: string): string {
  const key = keyOf(name);
  if (!NAME.test(key)) {
    throw invalid(`metadata name ${JSON.stringify(name)} must be of the characters 0-9 a-z _ - . only`);
  }
  if (isConnectionHeader(key)) {
    throw invalid(`"${key}" cannot be metadata: the field belongs to one HTTP/2 connection`);
  }
  if (isReservedHeader(key)) {
    throw invalid(`"${key}" cannot be metadata: the field is gRPC's own`);
  }
  return key;
}

function encodedValue(key: string, value: string | Uint8Array): string {
  if (isBinary(key)) {
    // A string is refused because it could be meant as text or as base64.
    if (!(value instanceof Uint8Array)) {
      throw wrong(`metadata "${key}" takes bytes (a Uint8Array), because its name ends in -bin`);
    }
    // "Implementations MUST accept padded and un-padded values and should emit un-padded values"
    // (PROTOCOL-HTTP2.md).
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
    const padding = text.indexOf('=');
    return padding < 0 ? text : text.slice(0, padding);
  }
  if (typeof value !== 'string') {
    throw wrong(`metadata "${key}" takes a string; a name that ends in -bin takes bytes`);
  }
  if (!ASCII_VALUE.test(value)) {
    throw invalid(
      `metadata "${key}" takes printable ASCII text only; a name that ends in -bin takes any bytes`,
    );
  }
  // "If it contains leading or trailing whitespace, it may be stripped" (PROTOCOL-HTTP2.md), and must be: "A field
  // value MUST NOT start or end with an ASCII whitespace character" (RFC 9113 section 8.2.1).
  return value.trim();
}

function decodeBase64(key: string, text: string): Buffer {
  const encoded = text.trim();
  // Checked because Buffer skips what is not base64, and so would read a value that a backend refuses.
  const partial = encoded.length % 4;
  if (!BASE64.test(encoded) || partial === 1 || (partial !== 0 && encoded.endsWith('='))) {
    throw invalid(`metadata "${key}" holds a value that is not base64`);
  }
  return Buffer.from(encoded, 'base64');
}

function wrong(message: string): TypeError {
  return ownError('ERR_INVALID_ARG_TYPE', message);
}

function invalid(message: string): TypeError {
  return ownError('ERR_INVALID_ARG_VALUE', message);
}
