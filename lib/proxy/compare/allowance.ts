/** What all comparisons may hold together, in bytes. */
export class ComparingMemory {
  /** Held now. */
  held = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether so much more may be held; then it is counted. */
  take(bytes: number): boolean {
    if (this.held + bytes > this.#limit) return false;
    this.held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.held -= bytes;
  }
}

/** What a message that waits takes besides its bytes: its objects. */
const MESSAGE_BYTES = 512;

/** What one answer may hold of it. */
export class Allowance {
  readonly #memory: ComparingMemory;
  /** Bytes of messages. */
  #held = 0;

  constructor(memory: ComparingMemory) {
    this.#memory = memory;
  }

  /** Whether one more message may wait; then it is counted. How many is limited elsewhere. */
  takeMessage(): boolean {
    return this.#memory.take(MESSAGE_BYTES);
  }

  giveMessage(): void {
    this.#memory.give(MESSAGE_BYTES);
  }

  /** Whether so many more bytes of messages may be held, up to `limit` for this answer; then they are counted. */
  takeBytes(bytes: number, limit: number): boolean {
    if (this.#held + bytes > limit || !this.#memory.take(bytes)) return false;
    this.#held += bytes;
    return true;
  }

  giveBytes(bytes: number): void {
    this.#held -= bytes;
    this.#memory.give(bytes);
  }
}
