import type { Holder } from '../port/account.js';
import { keepLong } from '../port/lent-memory.js';
import { outsideOfCalls } from '../port/outside-of-calls.js';
import type { Stream } from '../port/stream.js';

/** A call that has sent more than this is not tried again: what it sent would have to be held. */
const MAX_BYTES = 64 * 1024;

/** A refusal comes within a round trip or two. What is held for longer than one to two of these only keeps memory. */
const HOLD_MILLISECONDS = 5_000;

/** What is charged at a time: below it, what is held weighs less than the objects of its call. */
const MIN_CHARGE = 1024;

/** What a chunk takes besides its octets. */
const CHUNK_BYTES = 128;

/** How long what a call has sent is held at most; either way no longer than until its answer begins. */
export type HoldTime = 'for a moment' | 'until dropped';

/** What a call has sent so far, as it was sent, to be sent again at the next attempt, if there is one. */
export class SentData {
  readonly #holder: Holder;
  readonly #time: HoldTime;
  #chunks: Buffer[] | undefined;
  #heldBytes = 0;
  #uncharged = 0;
  #bytes = 0;
  #ended = false;
  #kept = false;

  /** The list of those that hold something, oldest first: linked, because each call enters and leaves it. */
  static #oldest: SentData | undefined;
  static #newest: SentData | undefined;
  static #period = 0;
  static #timer: NodeJS.Timeout | undefined;
  #older: SentData | undefined;
  #newer: SentData | undefined;
  #listed = false;
  #since = 0;

  /**
   * @param holder whom what it holds is charged to
   * @param time a retry policy may take long to be of use; without one only a refusal is waited for
   */
  constructor(holder: Holder, time: HoldTime) {
    this.#holder = holder;
    this.#time = time;
  }

  /** Whether {@link replay} would send all of it. */
  get complete(): boolean {
    return this.#bytes <= MAX_BYTES;
  }

  add(chunk: Buffer, endStream: boolean): void {
    if (!this.complete && !this.#kept) return;
    this.#bytes += chunk.length;
    this.#ended = endStream;
    if (!this.complete && !this.#kept) {
      this.drop();
    } else if (chunk.length > 0) {
      this.#charge(CHUNK_BYTES + chunk.length);
      if (this.#chunks === undefined) {
        this.#chunks = [keepLong(chunk)];
        this.#enlist();
      } else {
        this.#chunks.push(keepLong(chunk));
      }
    }
  }

  /**
   * Keeps all of it, and all that is added, until the attempt to come; backpressure is the bound then. Without this a
   * request could lose what came meanwhile.
   */
  keep(): void {
    this.#kept = true;
    this.#unlist();
  }

  /** Lets go of it, unless a retry that is under way needs it. */
  forget(): void {
    if (!this.#kept) this.drop();
  }

  /** Sends it on another stream, and lets go of it if it has become too much; false if the stream is full now. */
  replay(stream: Stream): boolean {
    this.#kept = false;
    let room = true;
    for (const chunk of this.#chunks ?? []) room = stream.sendData(chunk, false);
    if (this.#ended) stream.sendData(Buffer.alloc(0), true);
    if (!this.complete) this.drop();
    else if (this.#chunks !== undefined) this.#enlist();
    return room;
  }

  /** Lets go of it: there will be no further attempt. */
  drop(): void {
    this.#chunks = undefined;
    if (this.#heldBytes > 0) {
      this.#holder.held.release(this.#heldBytes);
      this.#heldBytes = 0;
    }
    this.#uncharged = 0;
    this.#bytes = Infinity;
    this.#kept = false;
    this.#unlist();
  }

  #charge(bytes: number): void {
    this.#uncharged += bytes;
    if (this.#uncharged < MIN_CHARGE) return;
    this.#holder.held.hold(this.#uncharged);
    this.#heldBytes += this.#uncharged;
    this.#uncharged = 0;
  }

  #enlist(): void {
    if (this.#listed || this.#kept || this.#time === 'until dropped') return;
    this.#listed = true;
    this.#since = SentData.#period;
    this.#older = SentData.#newest;
    if (this.#older === undefined) SentData.#oldest = this;
    else this.#older.#newer = this;
    SentData.#newest = this;
    SentData.#timer ??= outsideOfCalls(() => setInterval(SentData.#dropOld, HOLD_MILLISECONDS).unref());
  }

  #unlist(): void {
    if (!this.#listed) return;
    this.#listed = false;
    if (this.#older === undefined) SentData.#oldest = this.#newer;
    else this.#older.#newer = this.#newer;
    if (this.#newer === undefined) SentData.#newest = this.#older;
    else this.#newer.#older = this.#older;
    this.#older = undefined;
    this.#newer = undefined;
  }

  static #dropOld(): void {
    while (SentData.#oldest !== undefined && SentData.#oldest.#since < SentData.#period) {
      SentData.#oldest.drop();
    }
    SentData.#period++;
    if (SentData.#oldest !== undefined) return;
    clearInterval(SentData.#timer);
    SentData.#timer = undefined;
  }
}
