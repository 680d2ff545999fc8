import { READ_MEMORY } from '../read-memory.js';
import { heldBytes, hold, release } from './held-bytes.js';

/** Copied data is gathered in blocks of at most this size. */
const MAX_BLOCK_LENGTH = 16384;
const MIN_BLOCK_LENGTH = 512;

/** Slices below this are copied even if nothing else is in their memory. */
const MIN_KEPT_LENGTH = 4096;

/** As long as the process holds less than this, slices may keep up to four times their size alive. */
const FEW_BYTES = 8 * 1024 * 1024;

/** Whether a slice may be kept, and is most of the memory that it keeps alive, or that memory is affordable. */
function isWorthKeeping(chunk: Buffer): boolean {
  if (chunk.length < MIN_KEPT_LENGTH || chunk.buffer === READ_MEMORY.buffer) return false;
  const kept = chunk.buffer.byteLength;
  return 8 * chunk.length >= 7 * kept || (4 * chunk.length >= kept && heldBytes() < FEW_BYTES);
}

/**
 * Bytes that wait, in order: for a receiver that is paused, or for the peer's window. It holds about as much
 * memory as it has bytes: a slice of a larger piece of memory is copied, since it would keep all of that
 * alive (unless the whole process holds little), and small ones are gathered, since their `Buffer` objects weigh more than they do.
 */
export class ChunkQueue {
  /** How many bytes wait. */
  length = 0;
  private chunks: Buffer[] = [];
  /** How much of the first chunk is gone. */
  private offset = 0;
  /** Memory that copied data is gathered in, from `blockStart` to `blockEnd`, behind all chunks. */
  private block: Buffer = NO_BLOCK;
  private blockStart = 0;
  private blockEnd = 0;

  push(chunk: Buffer): void {
    const length = chunk.length;
    this.length += length;
    hold(length);
    if (isWorthKeeping(chunk)) {
      this.sealBlock();
      this.chunks.push(chunk);
      return;
    }
    const room = Math.min(length, this.block.length - this.blockEnd);
    chunk.copy(this.block, this.blockEnd, 0, room);
    this.blockEnd += room;
    if (room === length) return;
    this.sealBlock();
    const grown = Math.max(MIN_BLOCK_LENGTH, Math.min(MAX_BLOCK_LENGTH, 2 * this.block.length));
    this.block = Buffer.allocUnsafeSlow(Math.max(grown, length - room));
    chunk.copy(this.block, 0, room);
    this.blockStart = 0;
    this.blockEnd = length - room;
  }

  /** Takes the first chunk out; there must be one. */
  shift(): Buffer {
    if (this.chunks.length === 0) this.sealBlock();
    let chunk = this.chunks.shift()!;
    if (this.offset > 0) chunk = chunk.subarray(this.offset);
    this.offset = 0;
    this.length -= chunk.length;
    release(chunk.length);
    return chunk;
  }

  /** Takes this many bytes out, and copies them; there must be as many. */
  copyTo(target: Buffer, position: number, length: number): void {
    let copied = 0;
    while (copied < length) {
      if (this.chunks.length === 0) this.sealBlock();
      const chunk = this.chunks[0]!;
      const end = Math.min(chunk.length, this.offset + length - copied);
      copied += chunk.copy(target, position + copied, this.offset, end);
      this.offset = end;
      if (end === chunk.length) {
        this.chunks.shift();
        this.offset = 0;
      }
    }
    this.length -= length;
    release(length);
  }

  clear(): void {
    release(this.length);
    this.length = 0;
    this.chunks = [];
    this.offset = 0;
    this.block = NO_BLOCK;
    this.blockStart = 0;
    this.blockEnd = 0;
  }

  /** Makes what the block has gathered a chunk; the block's rest stays in use. */
  private sealBlock(): void {
    if (this.blockEnd === this.blockStart) return;
    this.chunks.push(this.block.subarray(this.blockStart, this.blockEnd));
    this.blockStart = this.blockEnd;
  }
}

const NO_BLOCK = Buffer.alloc(0);
