import { ownError } from '../port/errors.js';
import { PayloadAssembler } from './assembler.js';
import { PREFIX_LENGTH, PrefixReader } from './prefix.js';

export { FramingError, PREFIX_LENGTH } from './prefix.js';

/** One message of a call, without its prefix. */
export interface Message {
  /** The bytes, compressed or not; often a slice that shares memory with its neighbours. */
  readonly payload: Buffer;
  /** Whether they are compressed, by the encoding that `grpc-encoding` names. */
  readonly compressed: boolean;
}

/** The limit on a message that is to be held in memory, 4 MiB, as in gRPC's implementations. */
export const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

const MAX_PAYLOAD_BYTES = 2 ** 32 - 1;

/**
 * Prefix and payload in one new buffer.
 *
 * @param compressed whether the payload is, by the encoding that the header `grpc-encoding` names; false by default
 * @throws RangeError if the payload is longer than the four bytes of Message-Length can say; TypeError if it is
 *   not bytes
 */
export function encodeMessage(payload: Uint8Array, compressed = false): Buffer {
  // A string has a length, too, and would be taken for so many zeros.
  if (!(payload instanceof Uint8Array))
    throw ownError('ERR_INVALID_ARG_TYPE', 'a message must be bytes: a Uint8Array');
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw ownError(
      'ERR_OUT_OF_RANGE',
      `a message takes at most ${MAX_PAYLOAD_BYTES} bytes, not ${payload.length}`,
    );
  }
  const message = Buffer.allocUnsafe(PREFIX_LENGTH + payload.length);
  message[0] = compressed ? 1 : 0;
  message.writeUInt32BE(payload.length, 1);
  message.set(payload, PREFIX_LENGTH);
  return message;
}

/**
 * Cuts a stream's DATA into messages. A message that lies in one chunk is given out as a slice of it; one that
 * spans chunks is joined, in memory that grows with the bytes that have come, never on the word of a prefix.
 *
 * Once it has thrown, it throws the same error for ever, also when the error was `onMessage`'s: the rest of that
 * chunk is lost, and with it the place of the next message. `push` must not be called from within `onMessage`.
 */
export class MessageParser {
  readonly #onMessage: (payload: Buffer, compressed: boolean) => void;
  readonly #prefix: PrefixReader;
  readonly #assembler = new PayloadAssembler();

  /**
   * @param onMessage called from within {@link push} for each message, as soon as its last byte is there
   * @param maxMessageBytes the longest payload allowed, in bytes; 4 MiB by default
   * @throws TypeError for a limit that is no number from 0
   */
  constructor(
    onMessage: (payload: Buffer, compressed: boolean) => void,
    maxMessageBytes: number = DEFAULT_MAX_MESSAGE_BYTES,
  ) {
    this.#onMessage = onMessage;
    this.#prefix = new PrefixReader(maxMessageBytes);
  }

  /**
   * Takes the next chunk, which must not be written to afterwards.
   *
   * @throws FramingError as soon as a prefix shows a flag other than 0 and 1 (INTERNAL) or a length over the
   *   limit (RESOURCE_EXHAUSTED); or whatever `onMessage` throws
   */
  push(chunk: Buffer): void {
    const prefix = this.#prefix;
    prefix.check();
    let offset = 0;
    while (offset < chunk.length) {
      if (!prefix.complete) {
        offset = prefix.read(chunk, offset);
        if (!prefix.complete) return;
      }
      const missing = prefix.length - this.#assembler.size;
      const end = offset + missing;
      if (end > chunk.length) {
        if (offset < chunk.length) this.#assembler.add(chunk.subarray(offset), missing);
        return;
      }
      const payload = this.#payload(chunk.subarray(offset, end));
      offset = end;
      prefix.next();
      try {
        this.#onMessage(payload, prefix.compressed);
      } catch (error) {
        prefix.fail(error);
      }
    }
  }

  /**
   * The stream has ended.
   *
   * @throws FramingError INTERNAL if that was inside a message or its prefix; else what was thrown before, if
   *   anything was
   */
  end(): void {
    this.#prefix.end(this.#prefix.length - this.#assembler.size);
  }

  #payload(last: Buffer): Buffer {
    if (this.#assembler.size === 0) return last;
    this.#assembler.add(last, last.length);
    return this.#assembler.take();
  }
}
