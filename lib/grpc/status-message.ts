/**
 * What may stand in `grpc-message` as it is: "Percent-Byte-Unencoded → 1*( %x20-%x24 / %x26-%x7E ) ; space and
 * VCHAR, except %" (PROTOCOL-HTTP2.md), less a space at either end, which a field value must not have
 * (RFC 9113 section 8.2.1).
 */
const PLAIN = /^(?! )[\x20-\x24\x26-\x7e]*(?<! )$/;

const ESCAPES = /(?:%[0-9A-Fa-f]{2})+/g;
const SPACE = 0x20;
const PERCENT = 0x25;
const TILDE = 0x7e;

/**
 * Percent-encodes a status message for `grpc-message`, as UTF-8. Never throws: a lone surrogate, which UTF-8
 * cannot carry, becomes U+FFFD.
 */
export function encodeStatusMessage(text: string): string {
  if (PLAIN.test(text)) return text;
  const bytes = Buffer.from(text, 'utf8');
  const last = bytes.length - 1;
  let encoded = '';
  for (let index = 0; index <= last; index++) {
    const byte = bytes[index]!;
    const plain =
      byte >= SPACE &&
      byte <= TILDE &&
      byte !== PERCENT &&
      (byte !== SPACE || (index !== 0 && index !== last));
    encoded += plain
      ? String.fromCharCode(byte)
      : `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
  }
  return encoded;
}

/**
 * Decodes a `grpc-message`. Never throws: "When decoding invalid values, implementations MUST NOT error or throw
 * away the message" (PROTOCOL-HTTP2.md). A `%` that begins no escape stays as it is; bytes that are not UTF-8
 * become U+FFFD.
 */
export function decodeStatusMessage(encoded: string): string {
  if (!encoded.includes('%')) return encoded;
  // A run of escapes is decoded as one, because a character's bytes may take several.
  return encoded.replace(ESCAPES, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}
