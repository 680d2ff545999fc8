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

/** A chunk that fills less than this part of its memory is not worth to hold all of it. */
const MIN_SHARE = 1 / 8;

/**
 * The same for as long as a call may take. A chunk is a slice of what one read of the socket brought, for other calls,
 * too: 64 KiB would stay, and be charged to nobody, for one octet.
 */
export function keepLong(chunk: Buffer): Buffer {
  if (chunk.length >= MIN_SHARE * chunk.buffer.byteLength && !isLent(chunk)) return chunk;
  if (chunk !== lastChunk) {
    lastChunk = chunk;
    lastCopy = copyApart(chunk);
  }
  return lastCopy;
}

/** Small copies share memory with each other only: Node's own pool, of 64 KiB from Node 26 on, is anybody's. */
const SLAB_LENGTH = 4096;
let slab = Buffer.allocUnsafeSlow(SLAB_LENGTH);
let slabUsed = 0;

function copyApart(chunk: Buffer): Buffer {
  const { length } = chunk;
  if (length > SLAB_LENGTH / 8) {
    const copy = Buffer.allocUnsafeSlow(length);
    copy.set(chunk);
    return copy;
  }
  if (slabUsed + length > SLAB_LENGTH) {
    slab = Buffer.allocUnsafeSlow(SLAB_LENGTH);
    slabUsed = 0;
  }
  const copy = slab.subarray(slabUsed, slabUsed + length);
  slabUsed += length;
  copy.set(chunk);
  return copy;
}
