/**
 * A list of header fields as HTTP/2 carries it: name, value, name, value, …; names in lower case, the order
 * kept, repeated names apart. Pseudo-header fields come first. `-bin` values stay in their base64 text.
 */
export interface HeaderList extends Array<string> {
  /**
   * Names of fields that must never enter an HPACK table on any hop, because their sender said so (RFC 7541
   * section 6.2.3, "never-indexed literals"): credentials, mostly.
   */
  neverIndexed?: readonly string[];
}

/** The value of the first field called `name`, or undefined. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) return headers[i + 1];
  }
  return undefined;
}

/** The fields of a Trailers-Only response that are trailers: all but the pseudo-header fields and content-type. */
export function trailersOf(headers: HeaderList): HeaderList {
  const trailers: HeaderList = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (!name.startsWith(':') && name !== 'content-type') trailers.push(name, headers[i + 1]!);
  }
  if (headers.neverIndexed !== undefined) trailers.neverIndexed = headers.neverIndexed;
  return trailers;
}

/**
 * The list without `content-length`, which speaks of one hop's DATA: where a response ends early, in an error status,
 * the next hop would see malformed HTTP (RFC 9113 section 8.1.1) in the place of the status.
 */
export function withoutContentLength(headers: HeaderList): HeaderList {
  let at = headers.length - 2;
  while (at >= 0 && headers[at] !== 'content-length') at -= 2;
  if (at < 0) return headers;
  const rest: HeaderList = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'content-length') rest.push(headers[i]!, headers[i + 1]!);
  }
  if (headers.neverIndexed !== undefined) rest.neverIndexed = headers.neverIndexed;
  return rest;
}
