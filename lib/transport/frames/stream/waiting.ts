import type { Held } from '../../../port/account.js';
import { ChunkQueue } from '../../../port/chunk-queue.js';
import { type HeaderList, headerListSize } from '../../../port/headers.js';
import type { StreamReset } from '../../../port/stream.js';

/** How much of one stream may wait for the peer's window or the socket before `sendData` says to hold back. */
const HIGH_WATER_MARK = 4096;

/** What waits behind DATA: nothing, one of the two ends, and RESET alone or behind an end. */
const Tail = {
  NOTHING: 0,
  END: 1,
  TRAILERS: 2,
  RESET: 4,
} as const;

/** What waits in one of a stream's directions: DATA, and what follows it. */
export class Waiting {
  readonly data: ChunkQueue;
  /** How often it was looked at since something of it went on. */
  looks = 0;
  private tail: number = Tail.NOTHING;
  private trailers: HeaderList | undefined = undefined;
  private reset: StreamReset | undefined = undefined;
  private awaitsDrain = false;

  /** @param held what waits is charged to */
  constructor(private readonly held: Held) {
    this.data = new ChunkQueue(held);
  }

  get isEmpty(): boolean {
    return this.tail === Tail.NOTHING && this.data.length === 0;
  }

  /** Nothing can follow any more but a reset. */
  get hasTail(): boolean {
    return this.tail !== Tail.NOTHING;
  }

  /** END_STREAM waits, by itself or on trailers. */
  get hasEnd(): boolean {
    return (this.tail & (Tail.END | Tail.TRAILERS)) !== 0;
  }

  /** END_STREAM waits by itself, and belongs on the last DATA frame. */
  get endsOnData(): boolean {
    return (this.tail & Tail.END) !== 0;
  }

  get hasReset(): boolean {
    return (this.tail & Tail.RESET) !== 0;
  }

  addEnd(): void {
    this.tail |= Tail.END;
  }

  addTrailers(trailers: HeaderList): void {
    this.tail |= Tail.TRAILERS;
    this.trailers = trailers;
    this.held.hold(headerListSize(trailers));
  }

  /** @param reset what the receiver is to be told, if it is a receiver that it waits for */
  addReset(reset?: StreamReset): void {
    this.tail |= Tail.RESET;
    this.reset = reset;
  }

  /** The trailers, which don't wait any more. */
  takeTrailers(): HeaderList | undefined {
    const { trailers } = this;
    this.dropTrailers();
    this.tail &= ~Tail.TRAILERS;
    return trailers;
  }

  /** Whether END_STREAM waited by itself, which it does no more. */
  takeEnd(): boolean {
    const waited = (this.tail & Tail.END) !== 0;
    this.tail &= ~Tail.END;
    return waited;
  }

  /** The reset, if nothing waits before it any more. */
  get nextReset(): StreamReset | undefined {
    return this.tail === Tail.RESET && this.data.length === 0 ? this.reset : undefined;
  }

  /** Whether the sender is to hold back, which is remembered. */
  mustDrain(isBlocked: boolean): boolean {
    if (!isBlocked && this.data.length < HIGH_WATER_MARK) return false;
    this.awaitsDrain = true;
    return true;
  }

  /** Whether the sender holds back, and there is room again; true but once. */
  takeDrained(): boolean {
    if (!this.awaitsDrain || this.data.length >= HIGH_WATER_MARK) return false;
    this.awaitsDrain = false;
    return true;
  }

  clear(): void {
    this.data.clear();
    this.tail = Tail.NOTHING;
    this.dropTrailers();
    this.reset = undefined;
  }

  private dropTrailers(): void {
    if (this.trailers === undefined) return;
    this.held.release(headerListSize(this.trailers));
    this.trailers = undefined;
  }
}
