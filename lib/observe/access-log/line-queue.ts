import { LineBytes, MAX_LINE_BYTES } from './line-bytes.js';

const NEWLINE = 0x0a;

/** How many lines end in it. */
export function linesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** What is got at a time for lines. */
const MEMORY_BYTES = 256 * 1024;

/**
 * Lines that wait to be written, in chunks of whole ones. The memory of what has been written is used again: new memory
 * outside of V8's heap for every line made it look for garbage several times a second.
 */
export class LineQueue {
  /** In all. */
  bytes = 0;
  /** The most that a chunk has; a line that has more is one of its own. */
  chunkBytes: number;
  readonly #chunks: Chunk[] = [];
  /** What {@link take} has given, and {@link free} has not been called for. */
  readonly #taken: Chunk[] = [];
  /** Where the next line is written: behind the last chunk, which begins there. */
  #memory = new LineBytes(MEMORY_BYTES);
  #chunkStart = 0;
  /** Another one, that nobody uses. */
  #spare: LineBytes | undefined;

  constructor(chunkBytes: number) {
    this.chunkBytes = chunkBytes;
  }

  /** Where the next line is to be written, of {@link MAX_LINE_BYTES} at most. It counts once {@link end} is called. */
  begin(): LineBytes {
    if (this.#memory.room < MAX_LINE_BYTES) this.#changeMemory();
    this.#memory.at = this.#memory.start;
    return this.#memory;
  }

  /** The line is whole. */
  end(): void {
    const memory = this.#memory;
    if (memory.at - this.#chunkStart > this.chunkBytes) this.#seal();
    this.bytes += memory.at - memory.start;
    memory.start = memory.at;
  }

  /** @param line in ASCII, with its end */
  push(line: string): void {
    if (line.length <= MAX_LINE_BYTES) {
      this.begin().text(line);
      this.end();
      return;
    }
    this.#seal();
    this.#chunks.push({ bytes: Buffer.from(line, 'latin1'), memory: undefined });
    this.bytes += line.length;
  }

  /** The oldest chunk. {@link free} follows, unless that is the end. */
  take(): Buffer | undefined {
    if (this.#chunks.length === 0) this.#seal();
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return undefined;
    this.#taken.push(chunk);
    this.bytes -= chunk.bytes.length;
    return chunk.bytes;
  }

  /** Nobody looks any more at the chunk that was taken before all others that are not free. */
  free(): void {
    const memory = this.#taken.shift()?.memory;
    if (memory === undefined) return;
    memory.chunks--;
    if (memory.chunks > 0) return;
    if (memory !== this.#memory) this.#spare = memory;
    else if (memory.start === this.#chunkStart) this.#rewind();
  }

  /** The lines that are whole become a chunk. */
  #seal(): void {
    const memory = this.#memory;
    if (memory.start === this.#chunkStart) return;
    this.#chunks.push({ bytes: memory.between(this.#chunkStart, memory.start), memory });
    memory.chunks++;
    this.#chunkStart = memory.start;
  }

  #changeMemory(): void {
    this.#seal();
    if (this.#memory.chunks > 0) {
      this.#memory = this.#spare ?? new LineBytes(MEMORY_BYTES);
      this.#spare = undefined;
    }
    this.#rewind();
  }

  /** Nothing in the memory is of use any more. */
  #rewind(): void {
    this.#memory.start = 0;
    this.#chunkStart = 0;
  }
}

interface Chunk {
  readonly bytes: Buffer;
  /** Undefined: its own. */
  readonly memory: LineBytes | undefined;
}
