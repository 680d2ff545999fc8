/**
 * A list of header fields as HTTP/2 carries it: name, value, name, value, …; names in lower case, the order
 * kept, repeated names apart. Pseudo-header fields come first. `-bin` values stay in their base64 text.
 */
export interface HeaderList extends Array<string> {
  /**
   * Names of fields that must never enter an HPACK table on any hop, because their sender said so (RFC 7541
   * section 6.2.3, "never-indexed literals"): credentials, mostly. None by default.
   */
  neverIndexed?: readonly string[];
}

/** Whether a value of the application, or of other code, is a list of fields; their names and values may be any text. */
export function isHeaderList(value: unknown): value is HeaderList {
  if (!Array.isArray(value) || value.length % 2 !== 0 || !value.every(isText)) return false;
  const { neverIndexed } = value as HeaderList;
  return neverIndexed === undefined || (Array.isArray(neverIndexed) && neverIndexed.every(isText));
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

/**
 * The size of a list as SETTINGS_MAX_HEADER_LIST_SIZE counts it: "the uncompressed size of field names and values, …
 * in units of octets plus an overhead of 32 octets for each field" (RFC 9113 section 6.5.2).
 */
export function headerListSize(headers: HeaderList): number {
  let size = 16 * headers.length;
  for (let i = 0; i < headers.length; i++) size += headers[i]!.length;
  return size;
}

/** Header lists below this size are not counted: they weigh no more than the objects of their call. */
export const LARGE_HEADER_LIST = 4096;

/** What a list is charged to its call, in octets: nothing below {@link LARGE_HEADER_LIST}. */
export function chargedSize(headers: HeaderList): number {
  const size = headerListSize(headers);
  return size < LARGE_HEADER_LIST ? 0 : size;
}

/** The value of the first field called `name`, or undefined. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) return headers[i + 1];
  }
  return undefined;
}

/** Puts the fields of `more` behind those of `headers`, which is returned; what either never indexes stays so. */
export function appendHeaders(headers: HeaderList, more: HeaderList): HeaderList {
  for (const text of more) headers.push(text);
  if (more.neverIndexed !== undefined) {
    headers.neverIndexed =
      headers.neverIndexed === undefined
        ? more.neverIndexed
        : [...headers.neverIndexed, ...more.neverIndexed];
  }
  return headers;
}

/** A new list of the fields whose name `isKept` accepts. */
export function filterHeaders(headers: HeaderList, isKept: (name: string) => boolean): HeaderList {
  const kept: HeaderList = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (isKept(name)) kept.push(name, headers[i + 1]!);
  }
  if (headers.neverIndexed !== undefined) kept.neverIndexed = headers.neverIndexed;
  return kept;
}

/** A new list of the same fields. */
export function copyHeaders(headers: HeaderList): HeaderList {
  const copy: HeaderList = headers.slice();
  if (headers.neverIndexed !== undefined) copy.neverIndexed = headers.neverIndexed;
  return copy;
}
