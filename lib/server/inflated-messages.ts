import { decompress } from '../grpc/compression.js';
import type { Message } from '../grpc/framing.js';
import { Code, StatusError } from '../grpc/status.js';
import type { Held } from '../port/account.js';

/**
 * The first messages of a request, inflated: each once, however often somebody peeks, and one after the other, so that no
 * more than the limit is in the making while as much is there. They are charged as they grow, beside what they came as.
 */
export class InflatedMessages {
  /** Why the next one cannot be inflated. */
  failure: Error | undefined;
  readonly #encoding: string | undefined;
  readonly #maxBytes: number;
  readonly #held: Held;
  readonly #messages: Message[] = [];
  /** Of all of them. */
  #bytes = 0;
  #charged = 0;
  #isDropped = false;
  #atWork = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(encoding: string | undefined, maxBytes: number, held: Held) {
    this.#encoding = encoding;
    this.#maxBytes = maxBytes;
    this.#held = held;
  }

  /** What these become, the first ones of the request; rejected with {@link failure}. */
  of(messages: readonly Message[]): Promise<Message[]> {
    this.#atWork++;
    const inflated = this.#turn.then(() => this.#inflate(messages));
    this.#turn = inflated.then(this.#onDone, this.#onDone);
    return inflated;
  }

  /** Whether somebody waits for some of them. */
  get isAtWork(): boolean {
    return this.#atWork > 0;
  }

  /** Nobody needs them any more. @param why what is rejected with that has not been inflated */
  drop(why: Error): void {
    this.#isDropped = true;
    this.failure ??= why;
    this.#held.release(this.#charged);
    this.#charged = 0;
  }

  readonly #onDone = (): void => {
    this.#atWork--;
  };

  /** False: it is of no use any more. */
  readonly #onGrowth = (bytes: number): boolean => {
    if (this.#isDropped) return false;
    this.#held.hold(bytes);
    this.#charged += bytes;
    return true;
  };

  async #inflate(messages: readonly Message[]): Promise<Message[]> {
    for (const message of messages.slice(this.#messages.length)) {
      if (this.failure !== undefined) throw this.failure;
      try {
        this.#messages.push(message.compressed ? await this.#inflated(message) : this.#counted(message));
      } catch (error) {
        this.failure ??= this.#explained(error as StatusError);
      }
    }
    if (this.#messages.length < messages.length) throw this.failure;
    return this.#messages.slice(0, messages.length);
  }

  async #inflated({ payload }: Message): Promise<Message> {
    const room = this.#maxBytes - this.#bytes;
    const inflated = await decompress(payload, this.#encoding, room, this.#onGrowth);
    return this.#counted({ payload: inflated, compressed: false });
  }

  #counted(message: Message): Message {
    this.#bytes += message.payload.length;
    if (this.#bytes > this.#maxBytes) throw new StatusError(Code.RESOURCE_EXHAUSTED, 'too long');
    return message;
  }

  /** Says what can be done about it: whoever routes by a message must not take its compressed bytes for it. */
  #explained({ code, message }: StatusError): StatusError {
    const what =
      code === Code.RESOURCE_EXHAUSTED
        ? `inflated, the first ${this.#messages.length + 1} messages are over the peek limit of ${this.#maxBytes} bytes`
        : message;
    return new StatusError(code, `${what}; a peek with { inflate: false } gives messages as they came`);
  }
}
