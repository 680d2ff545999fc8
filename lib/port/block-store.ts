import { lendable } from './lent-memory.js';

/** The length of a block. */
export const BLOCK_LENGTH = 16384;

/** How many blocks a segment has: 4 MiB of them. */
const SEGMENT_BLOCKS = 256;
/** How long a segment that nothing lies in is kept. */
const SHRINK_MILLISECONDS = 1000;

const SEGMENT_LENGTH = SEGMENT_BLOCKS * BLOCK_LENGTH;

/** Blocks that lie in one piece of memory, which goes back to the system when none of them is used. */
class Segment {
  readonly #memory: ArrayBuffer;
  readonly #free: Buffer[] = [];
  #made = 0;

  /** @param isResident whether its memory stays, however little of it is used */
  constructor(readonly isResident: boolean) {
    this.#memory = isResident
      ? new ArrayBuffer(SEGMENT_LENGTH)
      : new ArrayBuffer(0, { maxByteLength: SEGMENT_LENGTH });
    lendable(this.#memory);
  }

  get hasFree(): boolean {
    return this.#free.length > 0 || this.#made < SEGMENT_BLOCKS;
  }

  get isUnused(): boolean {
    return this.#free.length === this.#made;
  }

  acquire(): Buffer {
    if (this.#memory.byteLength === 0) this.#memory.resize(SEGMENT_LENGTH);
    return this.#free.pop() ?? Buffer.from(this.#memory, BLOCK_LENGTH * this.#made++, BLOCK_LENGTH);
  }

  release(block: Buffer): void {
    this.#free.push(block);
  }

  /** Gives its memory back; its blocks are as long as before when it is resized again. */
  shrink(): void {
    if (!this.isResident && this.isUnused) this.#memory.resize(0);
  }
}

/**
 * The memory that waiting bytes are gathered in. What V8 and malloc would make of it stays with the process when it is
 * not needed any more: 64 MiB that one client made it hold were still there after a full collection, half a minute
 * after the client had gone. So it is taken from the system in segments, and the lowest ones are used first: those above
 * are given back as soon as nothing lies in them.
 */
export class BlockStore {
  readonly #segments: Segment[] = [new Segment(true)];
  readonly #segmentOf = new WeakMap<ArrayBufferLike, number>();
  /** Below this one, all are full. */
  #lowest = 0;
  #shrinkTimer: NodeJS.Timeout | undefined;

  acquire(): Buffer {
    let index = this.#lowest;
    while (!this.#segments[index]?.hasFree) {
      index++;
      if (index >= this.#segments.length) this.#segments.push(new Segment(false));
    }
    this.#lowest = index;
    const block = this.#segments[index]!.acquire();
    if (!this.#segmentOf.has(block.buffer)) this.#segmentOf.set(block.buffer, index);
    return block;
  }

  /** Nobody uses the block any more. */
  release(block: Buffer): void {
    const index = this.#segmentOf.get(block.buffer)!;
    const segment = this.#segments[index]!;
    segment.release(block);
    this.#lowest = Math.min(this.#lowest, index);
    if (segment.isUnused && !segment.isResident) this.#shrinkTimer ??= this.#shrinkLater();
  }

  /** Not at once: what has just been let go of may be needed again. */
  #shrinkLater(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#shrinkTimer = undefined;
      for (const segment of this.#segments) segment.shrink();
    }, SHRINK_MILLISECONDS).unref();
  }
}
