/**
 * Memory that is used again as soon as what it holds has been delivered. A buffer for each read, as Node makes them,
 * is what V8 collects garbage for: at 1 MiB messages a fourth of the CPU (bench/NOTEBOOK.md).
 */
const lent = new WeakSet<ArrayBufferLike>();

/** Allocates such memory. */
export function lendableMemory(length: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(length);
  lendable(memory.buffer);
  return memory;
}

/** From now on, this memory is such. */
export function lendable(memory: ArrayBufferLike): void {
  lent.add(memory);
}

/** Whether a chunk lies in such memory. */
export function isLent(chunk: Buffer): boolean {
  return lent.has(chunk.buffer);
}

/** The last chunk that was kept, and its copy: a call's destinations keep the same one, one after the other. */
let lastChunk: Buffer | undefined;
let lastCopy: Buffer;

/** What `onData` gave, for longer than that call: a copy if its memory will be used again, else the chunk itself. */
export function keep(chunk: Buffer): Buffer {
  if (!isLent(chunk)) return chunk;
  if (chunk !== lastChunk) {
    lastChunk = chunk;
    lastCopy = Buffer.from(chunk);
  }
  return lastCopy;
}
