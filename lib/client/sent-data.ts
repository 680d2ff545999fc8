import type { Stream } from '../transport/port.js';

/** A call that has sent more than this is not retried: what it sent would have to be held. */
const MAX_BYTES = 64 * 1024;

/**
 * A refusal comes within a round trip or two. What is held for longer than one to two of these only keeps memory:
 * each chunk is a slice that pins all of what was read with it (FINDINGS: up to 64 KiB).
 */
const HOLD_MILLISECONDS = 5_000;

let young = new Set<SentData>();
let old = new Set<SentData>();
let timer: NodeJS.Timeout | undefined;

/** What a call has sent so far, as it was sent, to be sent again if the backend refuses the stream. */
export class SentData {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #ended = false;
  #kept = false;

  constructor() {
    young.add(this);
    timer ??= setInterval(dropOld, HOLD_MILLISECONDS).unref();
  }

  /** Whether {@link replay} would send all of it. */
  get complete(): boolean {
    return this.#bytes <= MAX_BYTES;
  }

  add(chunk: Buffer, endStream: boolean): void {
    if (!this.complete && !this.#kept) return;
    this.#bytes += chunk.length;
    this.#ended = endStream;
    if (!this.complete && !this.#kept) this.drop();
    else if (chunk.length > 0) this.#chunks.push(chunk);
  }

  /**
   * Keeps all of it, and all that is added, for the retry that is under way; backpressure is the bound then.
   * Without this a request could lose what came while the retry waited for its connection.
   */
  keep(): void {
    this.#kept = true;
    if (!young.delete(this)) old.delete(this);
  }

  /** Sends it on another stream, and lets go of it; false if that is full now. */
  replay(stream: Stream): boolean {
    let room = true;
    for (const chunk of this.#chunks) room = stream.sendData(chunk, false);
    if (this.#ended) stream.sendData(Buffer.alloc(0), true);
    this.drop();
    return room;
  }

  /** Lets go of it: there will be no retry. */
  drop(): void {
    this.#chunks = [];
    this.#bytes = Infinity;
    this.#kept = false;
    if (!young.delete(this)) old.delete(this);
  }
}

function dropOld(): void {
  for (const sent of old) sent.drop();
  old = young;
  young = new Set();
  if (old.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}
