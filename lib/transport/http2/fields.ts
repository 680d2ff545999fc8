import http2, { type OutgoingHttpHeaders } from 'node:http2';
import { wrongValue } from '../../port/errors.js';
import type { HeaderList } from '../../port/headers.js';
import { nodeIsAtLeast } from './node-version.js';

type IncomingFields = { [http2.sensitiveHeaders]?: string[] };
export type OutgoingFields = OutgoingHttpHeaders & { [http2.sensitiveHeaders]?: string[] };

/** What a field section is: what may stand in it depends on that. */
export type Section = 'request' | 'response' | 'trailers';

/** `request()` and `respond()` take a raw list from 22.20 and 24.7 at the latest. */
const takesRawHeaders = nodeIsAtLeast(24, 7) || (nodeIsAtLeast(22, 20) && !nodeIsAtLeast(23, 0));

/** A field name's octets (RFC 9110 section 5.6.2), or a pseudo-header's. */
const NAME = /^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9113 section 8.2.2, and `http2-settings`, which node:http2 refuses as well. */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** Node's raw header list as ours: the same array, with the never-indexed names beside it. */
export function toHeaderList(rawHeaders: string[], headers: object): HeaderList {
  const list: HeaderList = rawHeaders;
  const sensitive = (headers as IncomingFields)[http2.sensitiveHeaders];
  if (sensitive !== undefined && sensitive.length > 0) list.neverIndexed = sensitive;
  return list;
}

/**
 * Calls `send` with a header list in the form that this Node takes. What Node refuses although it can be sent is
 * mended: see {@link mend}.
 *
 * @throws Error if the list cannot be sent
 */
export function sendFields<T>(headers: HeaderList, section: Section, send: (fields: OutgoingFields) => T): T {
  const asList = takesRawHeaders && section !== 'trailers';
  if (!asList && section === 'request') checkNames(headers);
  try {
    return send(asList ? toRawFields(headers) : toFieldsObject(headers));
  } catch (error) {
    return sendMended(toFieldsObject(headers), section, send, error);
  }
}

function sendMended<T>(
  fields: OutgoingFields,
  section: Section,
  send: (fields: OutgoingFields) => T,
  refusal: unknown,
): T {
  // Each turn mends one field name at least.
  for (let error = refusal; mend(fields, section, error as NodeJS.ErrnoException); ) {
    try {
      return send(fields);
    } catch (next) {
      error = next;
      refusal = next;
    }
  }
  throw refusal;
}

/**
 * Makes fields acceptable that Node has refused, if they can be:
 *
 * - connection-specific ones go: "an intermediary transforming an HTTP/1.x message to HTTP/2 MUST remove
 *   connection-specific header fields" (RFC 9113 section 8.2.2), and what must not be sent helps nobody here either;
 * - the values of a repeated name that HTTP calls a singleton are joined: "Duplicate header names may have their
 *   values joined with "," as the delimiter and be considered semantically equivalent" (gRPC PROTOCOL-HTTP2,
 *   Custom-Metadata). Other repeated names stay as they are.
 *
 * @returns whether anything has changed
 */
function mend(fields: OutgoingFields, section: Section, error: NodeJS.ErrnoException): boolean {
  switch (error.code) {
    case 'ERR_HTTP2_INVALID_CONNECTION_HEADERS':
      return removeConnectionSpecific(fields, section);
    case 'ERR_HTTP2_HEADER_SINGLE_VALUE': {
      // 'Header field "NAME" must only have a single value': no other place says which.
      const name = /"(.+)"/.exec(error.message)?.[1] ?? '';
      const values = fields[name];
      if (!Array.isArray(values)) return false;
      fields[name] = values.join(',');
      return true;
    }
    default:
      return false;
  }
}

function removeConnectionSpecific(fields: OutgoingFields, section: Section): boolean {
  let removed = false;
  for (const name of Object.keys(fields)) {
    if (!CONNECTION_SPECIFIC.has(name)) continue;
    delete fields[name];
    removed = true;
  }
  const te = fields.te;
  if (te === undefined || (section === 'request' && te === 'trailers')) return removed;
  // "the TE header field, which MAY be present in an HTTP/2 request; when it is, it MUST NOT contain any value other
  // than "trailers"" (section 8.2.2).
  if (section === 'request' && [te].flat().includes('trailers')) fields.te = 'trailers';
  else delete fields.te;
  return true;
}

/** On Node 20, `request()` destroys the whole session over a name that is no token. */
function checkNames(headers: HeaderList): void {
  for (let i = 0; i < headers.length; i += 2) {
    if (!NAME.test(headers[i]!)) throw wrongValue('a field', 'called by a token', headers[i]);
  }
}

function toRawFields(headers: HeaderList): OutgoingFields {
  const fields = headers as unknown as OutgoingFields;
  if (headers.neverIndexed !== undefined) fields[http2.sensitiveHeaders] = [...headers.neverIndexed];
  return fields;
}

/**
 * The object form of a header list: what `sendTrailers()` takes on every version of Node, and `request()` and
 * `respond()` on those that take no raw list. It keeps the order of names but groups repeated ones.
 */
export function toFieldsObject(headers: HeaderList): OutgoingFields {
  // Without a prototype, a field called `__proto__` is a field like any other.
  const fields: OutgoingFields = Object.create(null);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    const value = headers[i + 1]!;
    const present = fields[name];
    if (present === undefined) fields[name] = value;
    else if (Array.isArray(present)) present.push(value);
    else fields[name] = [present as string, value];
  }
  if (headers.neverIndexed !== undefined) fields[http2.sensitiveHeaders] = [...headers.neverIndexed];
  return fields;
}
