import { filterHeaders, type HeaderList } from '../port/headers.js';

/** The fields of a Trailers-Only response that are trailers: all but the pseudo-header fields and content-type. */
export function trailersOf(headers: HeaderList): HeaderList {
  return filterHeaders(headers, (name) => !name.startsWith(':') && name !== 'content-type');
}

/**
 * The list without `content-length`, which speaks of one hop's DATA: where a response ends early, in an error status,
 * the next hop would see malformed HTTP (RFC 9113 section 8.1.1) in the place of the status.
 */
export function withoutContentLength(headers: HeaderList): HeaderList {
  let at = headers.length - 2;
  while (at >= 0 && headers[at] !== 'content-length') at -= 2;
  return at < 0 ? headers : filterHeaders(headers, (name) => name !== 'content-length');
}
