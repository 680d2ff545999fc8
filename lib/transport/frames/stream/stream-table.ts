import type { FrameStream } from './stream.js';

const INITIAL_CAPACITY = 64;

/**
 * A connection's streams by identifier: a hash table with linear probing.
 *
 * Not a Map, which V8 replaces by a new table every so often as entries come and go. Each obsolete table points to
 * its successor and keeps what was in it, so that once one of them has become old, those that follow survive
 * every scavenge, with all streams in them, until a full collection: a third of the CPU went there.
 */
export class StreamTable {
  size = 0;
  /** 0 is the identifier of no stream: a free slot. */
  private ids = new Int32Array(INITIAL_CAPACITY);
  private streams: (FrameStream | undefined)[] = new Array(INITIAL_CAPACITY).fill(undefined);
  private mask = INITIAL_CAPACITY - 1;
  private shift = 32 - Math.log2(INITIAL_CAPACITY);
  /** Odd and at random: a peer chooses its identifiers, and must not be able to choose them to collide. */
  private readonly multiplier = Math.floor(Math.random() * 2 ** 31) | 1;

  get(id: number): FrameStream | undefined {
    return this.streams[this.slotOf(id)];
  }

  has(id: number): boolean {
    return this.ids[this.slotOf(id)] === id;
  }

  set(id: number, stream: FrameStream): void {
    if (this.size * 2 >= this.ids.length) this.grow();
    const slot = this.slotOf(id);
    if (this.ids[slot] === 0) this.size++;
    this.ids[slot] = id;
    this.streams[slot] = stream;
  }

  delete(id: number): void {
    let free = this.slotOf(id);
    if (this.ids[free] === 0) return;
    this.size--;
    // What a later slot holds moves up if its probing begins at the freed slot or before: no tombstones.
    for (let slot = (free + 1) & this.mask; this.ids[slot] !== 0; slot = (slot + 1) & this.mask) {
      const distance = (slot - this.homeOf(this.ids[slot]!)) & this.mask;
      if (distance < ((slot - free) & this.mask)) continue;
      this.ids[free] = this.ids[slot]!;
      this.streams[free] = this.streams[slot];
      free = slot;
    }
    this.ids[free] = 0;
    this.streams[free] = undefined;
  }

  clear(): void {
    this.size = 0;
    this.ids.fill(0);
    this.streams.fill(undefined);
  }

  /** All of them, as they are now. */
  values(): FrameStream[] {
    return this.streams.filter((stream) => stream !== undefined);
  }

  private homeOf(id: number): number {
    return Math.imul(id, this.multiplier) >>> this.shift;
  }

  /** Where `id` is, or the free slot where it would be put. */
  private slotOf(id: number): number {
    let slot = this.homeOf(id);
    while (this.ids[slot] !== id && this.ids[slot] !== 0) slot = (slot + 1) & this.mask;
    return slot;
  }

  private grow(): void {
    const streams = this.values();
    const capacity = this.ids.length * 2;
    this.ids = new Int32Array(capacity);
    this.streams = new Array(capacity).fill(undefined);
    this.mask = capacity - 1;
    this.shift--;
    this.size = 0;
    for (const stream of streams) this.set(stream.id, stream);
  }
}
