import type { ClientCall } from '../client/client-call.js';
import type { Held } from '../port/account.js';
import { ChunkQueue } from '../port/chunk-queue.js';

const NOTHING = Buffer.alloc(0);

/**
 * A request on its way to a destination that holds nobody back: what its stream has no room for, or comes before there
 * is one, waits here. A stream that is full gets no more, since it need not know how to hold many small chunks.
 */
export class LaggingRequest {
  readonly #call: ClientCall;
  readonly #held: Held;
  #state: 'connecting' | 'flowing' | 'full' = 'connecting';
  /** Made when something has to wait. */
  #waiting: ChunkQueue | undefined;
  /** The half-close waits behind it. */
  #endWaits = false;

  /** @param held what waits is charged to */
  constructor(call: ClientCall, held: Held) {
    this.#call = call;
    this.#held = held;
  }

  /** The stream is open. */
  get isOpen(): boolean {
    return this.#state !== 'connecting';
  }

  /** The stream is open, and has room. */
  get flows(): boolean {
    return this.#state === 'flowing';
  }

  /** Sends a chunk or keeps it; false: what comes next is kept. */
  send(chunk: Buffer): boolean {
    if (this.flows) {
      this.#give(chunk);
    } else {
      this.#waiting ??= new ChunkQueue(this.#held);
      this.#waiting.push(chunk);
    }
    return this.flows;
  }

  /** Half-closes, behind all that waits. */
  end(): void {
    if (this.flows) this.#call.sendData(NOTHING, true);
    else this.#endWaits = true;
  }

  /** The stream is open, or has room again. */
  flow(): void {
    this.#state = 'flowing';
    const waiting = this.#waiting;
    while (this.flows && waiting !== undefined && waiting.length > 0) {
      const piece = waiting.shift();
      this.#give(piece.bytes);
      piece.recycle();
    }
    if (!this.flows || !this.#endWaits) return;
    this.#endWaits = false;
    this.#call.sendData(NOTHING, true);
  }

  /** Lets go of what waits. */
  drop(): void {
    this.#waiting?.clear();
  }

  #give(chunk: Buffer): void {
    this.#state = this.#call.sendData(chunk, false) ? 'flowing' : 'full';
  }
}
