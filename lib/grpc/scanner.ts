import { PrefixReader } from './prefix.js';

/**
 * Tracks where messages begin and end in a stream's DATA by looking at their prefixes only. It skips payloads,
 * keeps none of the bytes and allocates nothing: the cost is per message and per chunk.
 *
 * Once it has thrown, it throws the same error for ever, as the `MessageParser` does.
 */
export class MessageScanner {
  /** How many messages are complete so far. */
  messages = 0;
  readonly #prefix: PrefixReader;
  #missing = 0;

  /**
   * @param maxMessageBytes the longest payload allowed, in bytes; by default as long as a prefix can say
   * @throws TypeError for a limit that is no number from 0
   */
  constructor(maxMessageBytes: number = Number.POSITIVE_INFINITY) {
    this.#prefix = new PrefixReader(maxMessageBytes);
  }

  /** Compressed-Flag of the message being scanned, or of the last one between messages; false before the first. */
  get compressed(): boolean {
    return this.#prefix.compressed;
  }

  /** Whether everything so far was whole messages. */
  get atBoundary(): boolean {
    return this.#prefix.bytesRead === 0;
  }

  /**
   * Goes over a whole chunk.
   *
   * @throws FramingError as `MessageParser.push` does
   */
  push(chunk: Buffer): void {
    this.#prefix.check();
    let offset = 0;
    while (offset < chunk.length) offset = this.advance(chunk, offset);
  }

  /**
   * Goes on from `start` to the end of the current message or of the chunk, whichever is first; returns the
   * offset that it reached. The next bytes to give it are those from there on.
   *
   * @throws FramingError as `MessageParser.push` does
   */
  advance(chunk: Buffer, start: number): number {
    const prefix = this.#prefix;
    prefix.check();
    let offset = start;
    if (!prefix.complete) {
      offset = prefix.read(chunk, offset);
      if (!prefix.complete) return offset;
      this.#missing = prefix.length;
    }
    const skipped = Math.min(this.#missing, chunk.length - offset);
    this.#missing -= skipped;
    if (this.#missing === 0) {
      this.messages++;
      prefix.next();
    }
    return offset + skipped;
  }

  /**
   * The stream has ended.
   *
   * @throws FramingError as `MessageParser.end` does
   */
  end(): void {
    this.#prefix.end(this.#missing);
  }
}
