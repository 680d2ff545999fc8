/** Fields as HPACK literals without indexing (RFC 7541 section 6.2.2), nothing Huffman-coded. */
export function fieldBlock(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.of(0), stringLiteral(fields[i]!), stringLiteral(fields[i + 1]!));
  }
  return Buffer.concat(parts);
}

function stringLiteral(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  // An integer with a 7-bit prefix (RFC 7541 section 5.1).
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>>= 7) length.push(128 | (rest & 127));
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}
