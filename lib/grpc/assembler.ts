/**
 * Pieces smaller than this are copied together. Kept as slices, each would cost an object, and could pin the
 * 64 KiB slab that the socket read it into: bytes sent one by one would take a hundredfold of memory.
 */
const SMALL_PIECE_BYTES = 4 * 1024;

/** Small pieces are copied into buffers of at most this size. */
const STAGE_BYTES = 16 * 1024;

/**
 * Joins a payload that came in several chunks. It allocates in proportion to what it was given, whatever length
 * was declared, and copies large pieces once and small ones twice.
 */
export class PayloadAssembler {
  /** Bytes held. */
  size = 0;
  #pieces: Buffer[] = [];
  #stage: Buffer | undefined;
  /** Where the bytes begin that are staged but not yet among the pieces, and where they end. */
  #stageStart = 0;
  #stageEnd = 0;

  /** Takes the next bytes of a payload; `missing` is how many it lacks, these included. */
  add(piece: Buffer, missing: number): void {
    this.size += piece.length;
    if (piece.length >= SMALL_PIECE_BYTES) {
      this.#flush();
      this.#pieces.push(piece);
      return;
    }
    if (this.#stage === undefined || this.#stage.length - this.#stageEnd < piece.length) {
      this.#flush();
      this.#stage = Buffer.allocUnsafe(Math.min(STAGE_BYTES, missing));
      this.#stageStart = 0;
      this.#stageEnd = 0;
    }
    this.#stageEnd += piece.copy(this.#stage, this.#stageEnd);
  }

  /** The whole, in one buffer; the assembler is then empty. */
  take(): Buffer {
    this.#flush();
    const pieces = this.#pieces;
    const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, this.size);
    this.#pieces = [];
    this.#stage = undefined;
    this.size = 0;
    return whole;
  }

  /** Makes what is staged a piece. The room that is left stays in use: large pieces must not waste it. */
  #flush(): void {
    if (this.#stage === undefined || this.#stageEnd === this.#stageStart) return;
    this.#pieces.push(this.#stage.subarray(this.#stageStart, this.#stageEnd));
    this.#stageStart = this.#stageEnd;
  }
}
