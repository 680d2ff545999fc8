import type { Held } from './account.js';
import { BLOCK_LENGTH, BlockStore } from './block-store.js';
import { isLent } from './lent-memory.js';

/** Copied data is gathered in blocks of at least this size, and at most that of the store. */
const MIN_BLOCK_LENGTH = 512;

const blocks = new BlockStore();

/** Slices below this are copied even if nothing else is in their memory. */
const MIN_KEPT_LENGTH = 4096;

/** As long as less than this waits in all queues, slices may keep up to four times their size alive. */
const FEW_BYTES = 8 * 1024 * 1024;

/** How much waits in all queues. */
let total = 0;

/** Whether a slice may be kept, and is most of the memory that it keeps alive, or that memory is affordable. */
function isWorthKeeping(chunk: Buffer): boolean {
  if (chunk.length < MIN_KEPT_LENGTH || isLent(chunk)) return false;
  const kept = chunk.buffer.byteLength;
  return 8 * chunk.length >= 7 * kept || (4 * chunk.length >= kept && total < FEW_BYTES);
}

/** Bytes that lie together: a slice that is kept, or what has been gathered in a block. */
export class Piece {
  private start = 0;

  constructor(
    private readonly memory: Buffer,
    private end: number,
    private readonly isStored: boolean,
  ) {}

  get bytes(): Buffer {
    return this.memory.subarray(this.start, this.end);
  }

  get length(): number {
    return this.end - this.start;
  }

  /** The length of what it lies in. */
  get capacity(): number {
    return this.memory.length;
  }

  /** Takes what it has room for of a chunk, from `from` on; returns how much that is. */
  append(chunk: Buffer, from: number): number {
    const copied = chunk.copy(this.memory, this.end, from);
    this.end += copied;
    return copied;
  }

  /** Moves at most this many bytes out; returns how many there were. */
  moveTo(target: Buffer, position: number, length: number): number {
    const copied = this.memory.copy(target, position, this.start, Math.min(this.end, this.start + length));
    this.start += copied;
    return copied;
  }

  /** Nobody looks at its bytes any more. */
  recycle(): void {
    if (this.isStored) blocks.release(this.memory);
  }
}

/**
 * Bytes that wait, in order: for a receiver that is paused, or for the peer's window. It holds about as much
 * memory as it has bytes: a slice of a larger piece of memory is copied, since it would keep all of that
 * alive (unless little waits in the whole process), and small ones are gathered, since their `Buffer` objects weigh more
 * than they do.
 */
export class ChunkQueue {
  /** How many bytes wait. */
  length = 0;
  private pieces: Piece[] = [];

  /** @param held what its bytes are charged to */
  constructor(private readonly held: Held) {}

  push(chunk: Buffer): void {
    this.add(chunk.length);
    if (isWorthKeeping(chunk)) {
      this.pieces.push(new Piece(chunk, chunk.length, false));
      return;
    }
    let copied = this.pieces.at(-1)?.append(chunk, 0) ?? 0;
    while (copied < chunk.length) copied += this.addBlock(chunk.length - copied).append(chunk, copied);
  }

  /** Takes the first piece out, which is the caller's to recycle; there must be one. */
  shift(): Piece {
    const piece = this.pieces.shift()!;
    this.subtract(piece.length);
    return piece;
  }

  /** Moves this many bytes out; there must be as many. */
  moveTo(target: Buffer, position: number, length: number): void {
    let moved = 0;
    while (moved < length) {
      const piece = this.pieces[0]!;
      moved += piece.moveTo(target, position + moved, length - moved);
      if (piece.length === 0) {
        this.pieces.shift();
        piece.recycle();
      }
    }
    this.subtract(length);
  }

  clear(): void {
    this.subtract(this.length);
    for (const piece of this.pieces) piece.recycle();
    this.pieces = [];
  }

  private add(bytes: number): void {
    this.length += bytes;
    total += bytes;
    this.held.hold(bytes);
  }

  private subtract(bytes: number): void {
    this.length -= bytes;
    total -= bytes;
    this.held.release(bytes);
  }

  /** Adds a block for more bytes, larger than the last: who holds a little gets little. */
  private addBlock(missing: number): Piece {
    const wanted = Math.max(MIN_BLOCK_LENGTH, missing, 2 * (this.pieces.at(-1)?.capacity ?? 0));
    const isStored = wanted >= BLOCK_LENGTH;
    const memory = isStored ? blocks.acquire() : Buffer.allocUnsafeSlow(wanted);
    const block = new Piece(memory, 0, isStored);
    this.pieces.push(block);
    return block;
  }
}
