const NEWLINE = 0x0a;

/** How many lines end in it. */
export function linesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** Lines that wait to be written, in chunks of whole ones. */
export class LineQueue {
  /** In all. */
  bytes = 0;
  /** The most that a chunk has; a line that has more is one of its own. */
  chunkBytes: number;
  readonly #chunks: Buffer[] = [];
  /** What comes behind them: not joined before it must be, for every line is a tree of its parts. */
  #text = '';

  constructor(chunkBytes: number) {
    this.chunkBytes = chunkBytes;
  }

  /** @param line in ASCII, with its end */
  push(line: string): void {
    if (this.#text !== '' && this.#text.length + line.length > this.chunkBytes) this.#seal();
    this.#text += line;
    this.bytes += line.length;
  }

  /** The oldest chunk. */
  take(): Buffer | undefined {
    if (this.#chunks.length === 0 && this.#text !== '') this.#seal();
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.bytes -= chunk.length;
    return chunk;
  }

  #seal(): void {
    this.#chunks.push(Buffer.from(this.#text, 'latin1'));
    this.#text = '';
  }
}
