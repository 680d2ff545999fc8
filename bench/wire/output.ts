import type { Socket } from 'node:net';

const BLOCK_BYTES = 256 * 1024;

/** Collects what is written in one turn of the event loop, and gives it to the socket in one piece. */
export class Output {
  readonly #socket: Socket;
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  #scheduled = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Room for so many bytes (at most a block): call `take` for the place to write them to. */
  reserve(length: number): { block: Buffer; offset: number } {
    if (this.#used + length > BLOCK_BYTES) this.flush();
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#onTurnEnd);
    }
    const offset = this.#used;
    this.#used += length;
    return { block: this.#block, offset };
  }

  flush(): void {
    if (this.#used === 0 || this.#socket.destroyed) return;
    this.#socket.write(this.#block.subarray(0, this.#used));
    // If the kernel took it all the block is free again.
    if (this.#socket.writableLength > 0) this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#used = 0;
  }

  readonly #onTurnEnd = (): void => {
    this.#scheduled = false;
    this.flush();
  };
}
