/**
 * The memory that the frame engine reads its sockets into, all of them one after the other: what a read brings has
 * been delivered before the next one begins. A buffer for each read, as Node makes them, is what V8 collects
 * garbage for: at 1 MiB messages a fourth of the CPU (bench/README.md).
 */
export const READ_MEMORY = Buffer.allocUnsafeSlow(64 * 1024);

const MEMORY = READ_MEMORY.buffer;

/** A call's destinations keep the same chunk, one after the other. */
let lastChunk: Buffer | undefined;
let lastCopy: Buffer | undefined;

/**
 * What a receiver was given by `onData`, to be kept for longer than that call: a copy if it lies in
 * {@link READ_MEMORY}, else the chunk itself.
 */
export function keep(chunk: Buffer): Buffer {
  if (chunk.buffer !== MEMORY) return chunk;
  if (chunk !== lastChunk) {
    lastChunk = chunk;
    lastCopy = Buffer.from(chunk);
  }
  return lastCopy!;
}

/** A read has been delivered: its chunks are no more. */
export function endRead(): void {
  lastChunk = undefined;
  lastCopy = undefined;
}
