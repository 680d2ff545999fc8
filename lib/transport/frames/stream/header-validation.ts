import type { HeaderList } from '../../../port/headers.js';

/**
 * What a message's fields must look like (RFC 9113 sections 8.1 to 8.3), their characters apart, which are
 * judged when they are decoded. Violations make a message malformed: "Malformed requests or responses that are
 * detected MUST be treated as a stream error of type PROTOCOL_ERROR" (section 8.1.1).
 */

/** The message is malformed. Other results are its `content-length`, or {@link NO_LENGTH}. */
export const MALFORMED = -2;
/** The message says nothing of its length. */
export const NO_LENGTH = -1;

let lastMalformation = '';

function malformed(what: string): number {
  lastMalformation = what;
  return MALFORMED;
}

/** What the last message that was malformed was malformed by, to go on after "with". */
export function malformation(): string {
  return lastMalformation;
}

const COLON = 0x3a;
const SLASH = 0x2f;

const METHOD = 1;
const SCHEME = 2;
const PATH = 4;
const AUTHORITY = 8;

/** A method (RFC 9110 section 9.1), and a scheme (RFC 3986 section 3.1). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const SCHEME_NAME = /^[A-Za-z][A-Za-z0-9+\-.]*$/;

/** Whitespace and control characters, which no part of a URI holds (RFC 3986 section 2). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_IN_URIS = /[\x00-\x20\x7f]/;

/** What was last seen to have none of them: mostly it comes again, out of the dynamic table. */
let lastPath = '';
let lastAuthority = '';

/** Checks a request's fields (section 8.3.1). */
export function checkRequest(headers: HeaderList): number {
  let seen = 0;
  let method = '';
  let scheme = '';
  let path = '';
  let authority = '';
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
        scheme = value;
        break;
      case ':path':
        pseudo = PATH;
        path = value;
        break;
      case ':authority':
        pseudo = AUTHORITY;
        authority = value;
        break;
      default:
        // "Endpoints MUST treat a request or response that contains undefined or invalid pseudo-header
        // fields as malformed"; `:protocol` is undefined as long as RFC 8441 is not agreed upon.
        return malformed('an undefined pseudo-header field');
    }
    // "The same pseudo-header field name MUST NOT appear more than once in a field block."
    if ((seen & pseudo) !== 0) return malformed('a pseudo-header field twice');
    seen |= pseudo;
  }
  if (method === 'CONNECT') {
    // Section 8.5: ":scheme" and ":path" "MUST be omitted", and ":authority" names the target.
    if (seen !== (METHOD | AUTHORITY)) return malformed('other pseudo-header fields than CONNECT has');
  } else {
    // "All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme", and ":path"
    // pseudo-header fields".
    if ((seen & (METHOD | SCHEME | PATH)) !== (METHOD | SCHEME | PATH)) {
      return malformed('a pseudo-header field missing');
    }
    if (method !== 'POST' && !TOKEN.test(method)) return malformed('a :method that is none');
    if (scheme !== 'http' && scheme !== 'https' && !SCHEME_NAME.test(scheme)) {
      return malformed('a :scheme that is none');
    }
    // "This pseudo-header field MUST NOT be empty"; it starts with "/", but for OPTIONS' "*".
    if (path.charCodeAt(0) !== SLASH && !(path === '*' && method === 'OPTIONS')) {
      return malformed('a :path that is none');
    }
    if (path !== lastPath) {
      if (NOT_IN_URIS.test(path)) return malformed('a :path that is none');
      lastPath = path;
    }
  }
  if ((seen & AUTHORITY) !== 0 && authority !== lastAuthority) {
    // ":authority" "MUST NOT include the deprecated userinfo subcomponent".
    if (authority.includes('@') || NOT_IN_URIS.test(authority)) {
      return malformed('an :authority that is none');
    }
    lastAuthority = authority;
    // A Host that differs "SHOULD" make the request malformed, too. gRPC discards it instead, and so does the proxy
    // (reserved-headers.ts): clients set metadata called so.
  }
  return checkFields(headers, i, true);
}

/** The `:status` of a response that has one and no other pseudo-header (section 8.3.2), or -1. */
export function responseStatus(headers: HeaderList): number {
  const status = headers[1];
  if (headers[0] !== ':status' || status === undefined) return -1;
  if (status === '200') return 200;
  return /^[1-9][0-9][0-9]$/.test(status) ? Number(status) : -1;
}

/** Checks a response's fields behind `:status`. */
export function checkResponse(headers: HeaderList): number {
  return checkFields(headers, 2, false);
}

/** "Pseudo-header fields MUST NOT appear in a trailer section" (section 8.3). */
export function checkTrailers(headers: HeaderList, inRequest: boolean): boolean {
  return checkFields(headers, 0, inRequest) !== MALFORMED;
}

function isPseudo(name: string): boolean {
  return name.charCodeAt(0) === COLON;
}

/**
 * Checks the fields from an index on. "All pseudo-header fields MUST appear in a field block before all
 * regular field lines" (section 8.3), so that there is no further one.
 */
function checkFields(headers: HeaderList, start: number, inRequest: boolean): number {
  let length = NO_LENGTH;
  for (let i = start; i < headers.length; i += 2) {
    const name = headers[i]!;
    if (isPseudo(name)) return malformed('a pseudo-header field where none may be');
    // The length first: nearly every name is told apart by it from all of the names that matter.
    switch (name.length) {
      case 2:
        // "The only exception to this is the TE header field, which MAY be present in an HTTP/2 request; when
        // it is, it MUST NOT contain any value other than "trailers"" (section 8.2.2).
        if (name === 'te' && !(inRequest && headers[i + 1] === 'trailers')) {
          return malformed('te where it may not be');
        }
        break;
      case 7:
        if (name === 'upgrade') return connectionSpecific(name);
        break;
      case 10:
        if (name === 'connection' || name === 'keep-alive') return connectionSpecific(name);
        break;
      case 14:
        if (name === 'content-length') {
          const value = headers[i + 1]!;
          if (!/^[0-9]{1,15}$/.test(value) || (length !== NO_LENGTH && length !== Number(value))) {
            return malformed('a content-length that is none');
          }
          length = Number(value);
        }
        break;
      case 16:
        if (name === 'proxy-connection') return connectionSpecific(name);
        break;
      case 17:
        if (name === 'transfer-encoding') return connectionSpecific(name);
        break;
    }
  }
  return length;
}

function connectionSpecific(name: string): number {
  return malformed(`the connection-specific field ${name}`);
}
