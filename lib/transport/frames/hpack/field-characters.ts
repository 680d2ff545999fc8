/**
 * Which characters a field may hold (RFC 9113 section 8.2.1). The checks run when a literal is decoded, and
 * a field in the dynamic table keeps its verdict.
 */

/**
 * Characters of a field name: RFC 9110's token without upper case, for "a field name MUST NOT contain
 * characters in the ranges 0x00-0x20, 0x41-0x5a, or 0x7f-0xff (all ranges inclusive)" and an implementation
 * that goes on to check the definitions in RFC 9110 "is permitted".
 */
const NAME_CHARACTERS = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  NAME_CHARACTERS[character.charCodeAt(0)] = 1;
}

const COLON = 0x3a;

/** Whether a name is legal; "with the exception of pseudo-header fields" it holds no colon. */
export function isLegalName(name: string): boolean {
  const start = name.charCodeAt(0) === COLON ? 1 : 0;
  if (name.length === start) return false;
  for (let i = start; i < name.length; i++) {
    if (NAME_CHARACTERS[name.charCodeAt(i) & 0xff] === 0) return false;
  }
  return true;
}

/**
 * Whether a value is legal: "A field value MUST NOT contain the zero value (ASCII NUL, 0x00), line feed
 * (ASCII LF, 0x0a), or carriage return (ASCII CR, 0x0d) at any position. A field value MUST NOT start or end
 * with an ASCII whitespace character (ASCII SP or HTAB, 0x20 or 0x09)."
 *
 * `grpc-message` alone may end in whitespace: gRPC's percent-encoding leaves spaces as they are, honest
 * backends do end messages with one ("not found: "), and a call whose status is known must not fail with
 * another one for that.
 */
export function isLegalValue(name: string, value: string): boolean {
  const length = value.length;
  if (length === 0) return true;
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    if (code <= 0x0d && (code === 0 || code === 0x0a || code === 0x0d)) return false;
  }
  return (
    !(isWhitespace(value.charCodeAt(0)) || isWhitespace(value.charCodeAt(length - 1))) ||
    name === 'grpc-message'
  );
}

function isWhitespace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
