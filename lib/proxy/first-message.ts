import { encodeMessage } from '../grpc/framing.js';
import { MessageScanner } from '../grpc/scanner.js';

/** Puts another message in the place of the first one of a byte stream. */
export class FirstMessageReplacement {
  /** The replacement with its prefix: what to send first. */
  readonly message: Buffer;
  readonly #scanner = new MessageScanner();

  /** @throws FramingError if it is longer than a message may be */
  constructor(payload: Uint8Array, maxMessageBytes: number | undefined) {
    this.message = encodeMessage(payload);
    if (maxMessageBytes !== undefined) new MessageScanner(maxMessageBytes).push(this.message);
  }

  /** What is left of a chunk without the first message; undefined if nothing is. */
  rest(chunk: Buffer): Buffer | undefined {
    if (this.#scanner.messages > 0) return chunk;
    const offset = this.#scanner.advance(chunk, 0);
    return offset < chunk.length ? chunk.subarray(offset) : undefined;
  }
}
