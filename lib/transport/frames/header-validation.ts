import type { HeaderList } from '../../grpc/headers.js';

/**
 * What a message's fields must look like (RFC 9113 sections 8.1 to 8.3), their characters apart, which are
 * judged when they are decoded. Violations are malformed messages: "endpoints that detect malformed requests
 * or responses need to" end the stream with PROTOCOL_ERROR (section 8.1.1).
 */

/** The message is malformed. Other results are its `content-length`, or {@link NO_LENGTH}. */
export const MALFORMED = -2;
/** The message says nothing of its length. */
export const NO_LENGTH = -1;

const COLON = 0x3a;
const SLASH = 0x2f;

const METHOD = 1;
const SCHEME = 2;
const PATH = 4;
const AUTHORITY = 8;

/** Checks a request's fields (section 8.3.1). */
export function checkRequest(headers: HeaderList): number {
  let seen = 0;
  let method = '';
  let path = '';
  let i = 0;
  for (; i < headers.length && isPseudo(headers[i]!); i += 2) {
    const value = headers[i + 1]!;
    let pseudo = 0;
    switch (headers[i]) {
      case ':method':
        pseudo = METHOD;
        method = value;
        break;
      case ':scheme':
        pseudo = SCHEME;
        break;
      case ':path':
        pseudo = PATH;
        path = value;
        break;
      case ':authority':
        // "MUST NOT include the deprecated userinfo subcomponent".
        if (value.includes('@')) return MALFORMED;
        pseudo = AUTHORITY;
        break;
      default:
        // "Endpoints MUST treat a request or response that contains undefined or invalid pseudo-header
        // fields as malformed"; `:protocol` is undefined as long as RFC 8441 is not agreed upon.
        return MALFORMED;
    }
    // "The same pseudo-header field name MUST NOT appear more than once in a field block."
    if ((seen & pseudo) !== 0) return MALFORMED;
    seen |= pseudo;
  }
  if (method === 'CONNECT') {
    // Section 8.5: ":scheme" and ":path" "MUST be omitted", and ":authority" names the target.
    if (seen !== (METHOD | AUTHORITY)) return MALFORMED;
  } else {
    // "All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme", and ":path"
    // pseudo-header fields".
    if ((seen & (METHOD | SCHEME | PATH)) !== (METHOD | SCHEME | PATH) || method === '') return MALFORMED;
    // "This pseudo-header field MUST NOT be empty"; it starts with "/", but for OPTIONS' "*".
    if (path.charCodeAt(0) !== SLASH && !(path === '*' && method === 'OPTIONS')) return MALFORMED;
  }
  return checkFields(headers, i);
}

/** The `:status` of a response that has one and no other pseudo-header (section 8.3.2), or -1. */
export function responseStatus(headers: HeaderList): number {
  const status = headers[1];
  if (headers[0] !== ':status' || status === undefined || !/^[1-9][0-9][0-9]$/.test(status)) return -1;
  return status === '200' ? 200 : Number(status);
}

/** Checks a response's fields behind `:status`. */
export function checkResponse(headers: HeaderList): number {
  return checkFields(headers, 2);
}

/** "Pseudo-header fields MUST NOT appear in a trailer section" (section 8.1). */
export function checkTrailers(headers: HeaderList): boolean {
  return checkFields(headers, 0) !== MALFORMED;
}

function isPseudo(name: string): boolean {
  return name.charCodeAt(0) === COLON;
}

/**
 * Checks the fields from an index on. "All pseudo-header fields MUST appear in a field block before all
 * regular field lines" (section 8.3), so that there is no further one.
 */
function checkFields(headers: HeaderList, start: number): number {
  let length = NO_LENGTH;
  for (let i = start; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (isPseudo(name)) return MALFORMED;
    // The length first: nearly every name is told apart by it from all of the names that matter.
    switch (name.length) {
      case 2:
        // "The only exception to this is the TE header field ...; when it is, it MUST NOT contain any value
        // other than "trailers"" (section 8.2.2).
        if (name === 'te' && headers[i + 1] !== 'trailers') return MALFORMED;
        break;
      case 7:
        if (name === 'upgrade') return MALFORMED;
        break;
      case 10:
        if (name === 'connection' || name === 'keep-alive') return MALFORMED;
        break;
      case 14:
        if (name === 'content-length') {
          const value = headers[i + 1]!;
          if (!/^[0-9]{1,15}$/.test(value) || (length !== NO_LENGTH && length !== Number(value)))
            return MALFORMED;
          length = Number(value);
        }
        break;
      case 16:
        if (name === 'proxy-connection') return MALFORMED;
        break;
      case 17:
        if (name === 'transfer-encoding') return MALFORMED;
        break;
    }
  }
  return length;
}
