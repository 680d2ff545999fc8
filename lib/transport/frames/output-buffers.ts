/**
 * The process' output buffers. A connection has one only while it has something to send, so that idle
 * connections cost none.
 */
export const OUTPUT_BUFFER_LENGTH = 65536;

/** How many unused buffers are kept. */
const MAX_FREE = 32;

const free: Buffer[] = [];

/** Gets a buffer of at least this many octets. */
export function acquireBuffer(octets: number): Buffer {
  if (octets > OUTPUT_BUFFER_LENGTH) return Buffer.allocUnsafeSlow(octets);
  return free.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BUFFER_LENGTH);
}

/** Gives a buffer back that nobody uses any more. */
export function releaseBuffer(buffer: Buffer): void {
  if (buffer.length === OUTPUT_BUFFER_LENGTH && free.length < MAX_FREE) free.push(buffer);
}
