import { encodeMessage } from '../grpc/framing.js';
import { MessageScanner } from '../grpc/scanner.js';

/** Puts another message in the place of the first one of a byte stream. */
export class FirstMessageReplacement {
  /** The replacement with its prefix: what to send first. */
  readonly message: Buffer;
  readonly #scanner = new MessageScanner();

  constructor(payload: Uint8Array) {
    this.message = encodeMessage(payload);
  }

  /** What is left of a chunk without the first message; undefined if nothing is. */
  rest(chunk: Buffer): Buffer | undefined {
    if (this.#scanner.messages > 0) return chunk;
    const offset = this.#scanner.advance(chunk, 0);
    return offset < chunk.length ? chunk.subarray(offset) : undefined;
  }
}
