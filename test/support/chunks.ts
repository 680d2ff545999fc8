/** Cuts bytes into chunks of the given sizes, in turn; the last size goes on repeating as long as it is not 0. */
export function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let offset = 0;
  for (let i = 0; offset < bytes.length; i++) {
    const size = i < sizes.length ? sizes[i]! : sizes.at(-1)! || bytes.length;
    chunks.push(bytes.subarray(offset, offset + size));
    offset += size;
  }
  return chunks;
}
