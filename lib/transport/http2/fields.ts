import http2, { type OutgoingHttpHeaders } from 'node:http2';
import type { HeaderList } from '../../grpc/headers.js';

type IncomingFields = { [http2.sensitiveHeaders]?: string[] };
export type OutgoingFields = OutgoingHttpHeaders & { [http2.sensitiveHeaders]?: string[] };

/** Node's raw header list as ours: the same array, with the never-indexed names beside it. */
export function toHeaderList(rawHeaders: string[], headers: object): HeaderList {
  const list: HeaderList = rawHeaders;
  const sensitive = (headers as IncomingFields)[http2.sensitiveHeaders];
  if (sensitive !== undefined && sensitive.length > 0) list.neverIndexed = sensitive;
  return list;
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

/**
 * Calls `send` with the object form. Node refuses some repeated names there (ERR_HTTP2_HEADER_SINGLE_VALUE); then
 * repeated values are joined: "duplicate header names may have their values joined with "," as the delimiter
 * and be considered semantically equivalent" (gRPC PROTOCOL-HTTP2, Custom-Metadata).
 */
export function sendAsObject<T>(headers: HeaderList, send: (fields: OutgoingFields) => T): T {
  const fields = toFieldsObject(headers);
  try {
    return send(fields);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error;
    for (const name of Object.keys(fields)) {
      const value = fields[name];
      if (Array.isArray(value)) fields[name] = value.join(',');
    }
    return send(fields);
  }
}

/**
 * `request()` and `respond()` take a raw list from 22.20 and 24.7 at the latest (FINDINGS: 22.17 and 24.0 for
 * `request()`, "`respond()` a little later").
 */
const takesRawHeaders = nodeIsAtLeast(24, 7) || (nodeIsAtLeast(22, 20) && !nodeIsAtLeast(23, 0));

/** Calls `send` with the raw list where this Node takes one and accepts it, else with the object form. */
export function sendAsList<T>(headers: HeaderList, send: (fields: OutgoingFields) => T): T {
  if (!takesRawHeaders) return sendAsObject(headers, send);
  const fields = headers as unknown as OutgoingFields;
  if (headers.neverIndexed !== undefined) fields[http2.sensitiveHeaders] = [...headers.neverIndexed];
  try {
    return send(fields);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error;
    return sendAsObject(headers, send);
  }
}

function nodeIsAtLeast(major: number, minor: number): boolean {
  const [nodeMajor = 0, nodeMinor = 0] = process.versions.node.split('.').map(Number);
  return nodeMajor > major || (nodeMajor === major && nodeMinor >= minor);
}
