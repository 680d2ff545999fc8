import type { HeldBytes } from '../../../port/account.js';

const NOTHING = Buffer.alloc(0);
const MIN_TAIL = 1024;
const MAX_TAIL = 65536;

/** Output that waits for a socket which is backed up: in order, and in memory of at most about twice its length. */
export class WaitingOutput {
  /** In octets. */
  length = 0;
  private pieces: Buffer[] = [];
  /** The last piece has room for more; it grows as what waits does. */
  private tail: Buffer = NOTHING;
  private tailLength = 0;

  /** @param held what waits is charged to */
  constructor(private readonly held: HeldBytes) {}

  /** Takes the first octets of a buffer: the buffer itself if they fill half of it, else (false) a copy. */
  add(buffer: Buffer, length: number): boolean {
    this.held.hold(length);
    if (2 * length >= buffer.length) {
      this.endTail();
      this.pieces.push(buffer.subarray(0, length));
      this.length += length;
      return true;
    }
    for (let copied = 0; copied < length; ) {
      if (this.tailLength === this.tail.length) this.beginTail();
      const octets = buffer.copy(this.tail, this.tailLength, copied, length);
      this.tailLength += octets;
      this.length += octets;
      copied += octets;
    }
    return false;
  }

  /** Gives all of it out. */
  take(): Buffer[] {
    this.endTail();
    const { pieces } = this;
    this.clear();
    return pieces;
  }

  clear(): void {
    this.pieces = [];
    this.tail = NOTHING;
    this.tailLength = 0;
    this.held.release(this.length);
    this.length = 0;
  }

  private beginTail(): void {
    this.endTail();
    this.tail = Buffer.allocUnsafeSlow(Math.min(Math.max(this.length, MIN_TAIL), MAX_TAIL));
  }

  private endTail(): void {
    if (this.tailLength > 0) this.pieces.push(this.tail.subarray(0, this.tailLength));
    this.tail = NOTHING;
    this.tailLength = 0;
  }
}
