import { brand } from '../port/brand.js';
import { ownError } from '../port/errors.js';
import { Code, StatusError } from './status.js';

/**
 * The bytes before each message: "Length-Prefixed-Message → Compressed-Flag Message-Length Message", with a flag of
 * one byte and a length "encoded as 4 byte unsigned integer (big endian)" (PROTOCOL-HTTP2.md).
 */
export const PREFIX_LENGTH = 5;

/**
 * The bytes of a stream are not well-formed messages (INTERNAL), or one is over the limit (RESOURCE_EXHAUSTED).
 */
export class FramingError extends StatusError {
  /** Always `FramingError`. */
  override get name(): string {
    return 'FramingError';
  }
}

brand(FramingError, 'FramingError');

/**
 * Reads the prefix of one message after another, however it is cut into chunks, without allocating. Once failed,
 * it throws the same error for ever: the place of the next prefix is lost.
 */
export class PrefixReader {
  /** Compressed-Flag of the current message, or of the last one between messages. */
  compressed = false;
  /** Message-Length, once {@link complete}. */
  length = 0;
  /** How many of the prefix's bytes have been read. */
  bytesRead = 0;
  readonly #maxMessageBytes: number;
  #failed = false;
  #failure: unknown;

  /** @throws TypeError for a limit that is no number from 0 */
  constructor(maxMessageBytes: number) {
    // It is the application's: nothing that is compared later may throw, or be true of every length.
    if (typeof maxMessageBytes !== 'number' || !(maxMessageBytes >= 0)) {
      throw ownError('ERR_INVALID_ARG_TYPE', 'a limit of messages must be a number of bytes');
    }
    this.#maxMessageBytes = maxMessageBytes;
  }

  get complete(): boolean {
    return this.bytesRead === PREFIX_LENGTH;
  }

  /**
   * Reads on from `offset` to the end of the prefix or of the chunk; returns where it stopped.
   *
   * @throws FramingError as soon as a byte is read that shows it
   */
  read(chunk: Buffer, offset: number): number {
    let position = offset;
    while (position < chunk.length && this.bytesRead < PREFIX_LENGTH) {
      const byte = chunk[position++]!;
      if (this.bytesRead === 0) this.#readFlag(byte);
      // Multiplied, not shifted: a shift makes lengths from 2 GiB negative.
      else this.length = this.length * 256 + byte;
      this.bytesRead++;
    }
    if (this.bytesRead === PREFIX_LENGTH && this.length > this.#maxMessageBytes) {
      this.fail(
        new FramingError(
          Code.RESOURCE_EXHAUSTED,
          `message of ${this.length} bytes is over the limit of ${this.#maxMessageBytes} bytes`,
        ),
      );
    }
    return position;
  }

  /** Begins anew, with the next message's prefix. */
  next(): void {
    this.bytesRead = 0;
    this.length = 0;
  }

  /** Throws `error`, now and at every {@link check} to come. */
  fail(error: unknown): never {
    this.#failed = true;
    this.#failure = error;
    throw error;
  }

  /** Throws what {@link fail} was given, if it was. */
  check(): void {
    if (this.#failed) throw this.#failure;
  }

  /**
   * The stream ends here, with `missing` bytes of the current message's payload to come.
   *
   * @throws FramingError unless that is between two messages
   */
  end(missing: number): void {
    this.check();
    if (this.bytesRead === 0) return;
    const where = this.complete
      ? `a message, after ${this.length - missing} of its ${this.length} bytes`
      : `a message's prefix, after ${this.bytesRead} of its ${PREFIX_LENGTH} bytes`;
    this.fail(new FramingError(Code.INTERNAL, `stream ended inside ${where}`));
  }

  #readFlag(flag: number): void {
    // "Compressed-Flag → 0 / 1 ; encoded as 1 byte unsigned integer" (PROTOCOL-HTTP2.md)
    if (flag > 1) {
      this.fail(new FramingError(Code.INTERNAL, `compressed flag of a message must be 0 or 1, not ${flag}`));
    }
    this.compressed = flag === 1;
  }
}
