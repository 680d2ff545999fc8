import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import { PayloadAssembler } from '../grpc/assembler.js';
import { decompress } from '../grpc/compression.js';
import { type Message, PREFIX_LENGTH } from '../grpc/framing.js';
import { MessageScanner } from '../grpc/scanner.js';
import { Code, StatusError } from '../grpc/status.js';
import type { HeldBytes } from '../port/account.js';
import { brand } from '../port/brand.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import { keepLong } from '../port/lent-memory.js';

/** Thrown by {@link StreamPeeker.peek} for a count that is no positive integer. */
export class InvalidPeekCountError extends RangeError {
  override name = 'InvalidPeekCountError';

  constructor() {
    super('peek count must be greater than zero');
  }
}

brand(InvalidPeekCountError, 'InvalidPeekCountError');

/** How {@link StreamPeeker.peek} treats the messages. */
export interface PeekOptions {
  /** Inflates compressed messages (gzip, deflate) within the peek limit. Default false: as they are. */
  readonly inflate?: boolean | undefined;
}

/** Lets a director look at the first messages of a call. They are not consumed. */
export interface StreamPeeker {
  /**
   * The first `count` messages, by default one; fewer if the client half-closes before. Can be called again, for
   * the same messages or more. The client is held back beyond them.
   *
   * @returns a promise that is rejected with an `InvalidPeekCountError`; with a `StatusError`: RESOURCE_EXHAUSTED
   *   if the messages are over the peek limit, which shows at a message's length prefix already, INTERNAL if the
   *   bytes are no messages, CANCELLED or DEADLINE_EXCEEDED; or an Error if the director has answered already
   */
  peek(count?: number, options?: PeekOptions): Promise<Message[]>;
}

/** A peek that has not been answered. */
class Waiting {
  readonly messages: Promise<Message[]>;
  resolve!: (messages: Message[]) => void;
  #reject!: (error: Error) => void;

  constructor(readonly count: number) {
    this.messages = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.#reject = reject;
    });
  }

  reject(error: Error): void {
    ignoreRejection(this.messages);
    this.#reject(error);
  }
}

/** What a peek may cost. */
export interface PeekLimits {
  readonly maxPeekBytes: number;
  readonly peekTimeoutMilliseconds: number;
}

/** The call whose request is looked at. */
export interface PeekedCall {
  readonly inputEnded: boolean;
  readonly held: HeldBytes;
  pause(): void;
  resume(): void;
}

/** Holds the beginning of a request while nobody has taken it. */
export class Peeker implements StreamPeeker {
  readonly #client: PeekedCall;
  readonly #headers: HeaderList;
  readonly #maxBytes: number;
  readonly #timeout: number;
  #timer: NodeJS.Timeout | undefined;
  /** Made by the first peek: most calls are not peeked at. */
  #scanner: MessageScanner | undefined;
  /** How many messages have been found, all together within the limit, and how many bytes scanned. */
  #messages = 0;
  #scannedBytes = 0;
  /** Everything received: in one buffer, or else joined by the assembler. */
  #held: Buffer | undefined;
  #assembler: PayloadAssembler | undefined;
  /** What of it has not been scanned yet, because nobody asked that far. */
  #unscanned: Buffer | undefined;
  #waiting: Waiting[] = [];
  #ended: boolean;
  #taken = false;
  #error: Error | undefined;

  constructor(client: PeekedCall, headers: HeaderList, limits: PeekLimits) {
    this.#client = client;
    this.#ended = client.inputEnded;
    this.#headers = headers;
    this.#maxBytes = limits.maxPeekBytes;
    this.#timeout = limits.peekTimeoutMilliseconds;
  }

  peek(count = 1, options: PeekOptions = {}): Promise<Message[]> {
    if (!Number.isInteger(count) || count < 1) return rejected(new InvalidPeekCountError());
    if (this.#taken) return requestTaken();
    const waiting = new Waiting(count);
    this.#waiting.push(waiting);
    this.#scan();
    if (this.#waiting.length > 0) {
      this.#limitWait();
      this.#client.resume();
    }
    if (options.inflate !== true) return waiting.messages;
    const inflated = waiting.messages.then((messages) => this.#inflated(messages));
    ignoreRejection(inflated);
    return inflated;
  }

  /** The next DATA. */
  push(received: Buffer): void {
    // Nobody wants it any more.
    if (this.#taken) return;
    const chunk = keepLong(received);
    this.#client.held.hold(chunk.length);
    if (this.#heldBytes === 0) {
      this.#held = chunk;
    } else {
      this.#assembler ??= new PayloadAssembler();
      if (this.#held !== undefined) this.#assembler.add(this.#held, Infinity);
      this.#held = undefined;
      this.#assembler.add(chunk, Infinity);
    }
    this.#unscanned = this.#unscanned === undefined ? chunk : Buffer.concat([this.#unscanned, chunk]);
    // Not as soon as all peeks are answered: mostly the director is about to answer, too.
    if (this.#waiting.length === 0) this.#client.pause();
    else this.#scan();
  }

  /** The client has half-closed. */
  end(): void {
    this.#ended = true;
    this.#scan();
  }

  /** What the peeks have been rejected with, if they have. */
  get failure(): Error | undefined {
    return this.#error;
  }

  /** Ends all peeks, and those to come, with this error. */
  fail(error: Error): void {
    this.#error ??= error;
    if (!this.#taken) this.#scan();
  }

  /** What is held, for who takes the request: a director has answered, or a handler reads. */
  take(): Buffer | undefined {
    // An error costs its stack: not for each call that did not peek.
    if (this.#waiting.length > 0) this.fail(taken());
    this.#taken = true;
    const held = this.#whole();
    this.drop();
    return held;
  }

  /** Lets go of what is held. */
  drop(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    if (this.#heldBytes > 0) this.#client.held.release(this.#heldBytes);
    this.#held = undefined;
    this.#assembler = undefined;
    this.#unscanned = undefined;
    this.#messages = 0;
  }

  #limitWait(): void {
    if (this.#timer !== undefined || this.#timeout > MAX_TIMER_MILLISECONDS) return;
    this.#timer = setTimeout(() => {
      const message = `the client has not sent what is peeked at within ${this.#timeout} ms`;
      this.fail(StatusError.withoutStack(Code.DEADLINE_EXCEEDED, message));
    }, this.#timeout);
  }

  /** One after the other, so that no more than the limit is in the making while as much is there. */
  async #inflated(messages: readonly Message[]): Promise<Message[]> {
    const encoding = headerValue(this.#headers, 'grpc-encoding');
    const inflated: Message[] = [];
    let bytes = 0;
    for (const message of messages) {
      const payload = message.compressed
        ? await decompress(message.payload, encoding, this.#maxBytes)
        : message.payload;
      bytes += payload.length;
      if (bytes > this.#maxBytes) throw this.#overLimit(messages.length);
      inflated.push({ payload, compressed: false });
    }
    return inflated;
  }

  #whole(): Buffer | undefined {
    if (this.#assembler !== undefined && this.#assembler.size > 0) this.#held = this.#assembler.take();
    return this.#held;
  }

  /** So that one message can be as long as the limit. Further prefixes count, or empty messages would be free. */
  get #maxHeldBytes(): number {
    return this.#maxBytes + PREFIX_LENGTH;
  }

  get #heldBytes(): number {
    return this.#held?.length ?? this.#assembler?.size ?? 0;
  }

  /** Scans on as far as anybody waits, and answers those who have what they want. */
  #scan(): void {
    try {
      this.#scanTo(this.#waiting.reduce((most, { count }) => Math.max(most, count), 0));
    } catch (error) {
      this.#error ??= error as Error;
    }
    this.#waiting = this.#waiting.filter((waiting) => !this.#answer(waiting));
    if (this.#waiting.length > 0 || this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #scanTo(count: number): void {
    if (this.#messages >= count) return;
    this.#scanner ??= new MessageScanner(this.#maxBytes);
    const scanner = this.#scanner;
    while (this.#unscanned !== undefined && this.#messages < count) {
      const offset = scanner.advance(this.#unscanned, 0);
      this.#unscanned = offset < this.#unscanned.length ? this.#unscanned.subarray(offset) : undefined;
      this.#scannedBytes += offset;
      if (scanner.messages > this.#messages && this.#scannedBytes > this.#maxHeldBytes) {
        throw this.#overLimit(count);
      }
      this.#messages = scanner.messages;
    }
    if (this.#messages >= count) return;
    if (this.#ended) scanner.end();
    else if (this.#heldBytes > this.#maxHeldBytes) throw this.#overLimit(count);
  }

  #overLimit(count: number): StatusError {
    return new StatusError(
      Code.RESOURCE_EXHAUSTED,
      `the first ${count} messages are over the peek limit of ${this.#maxBytes} bytes`,
    );
  }

  #answer(waiting: Waiting): boolean {
    const { count } = waiting;
    if (this.#messages < count) {
      if (this.#error !== undefined) {
        waiting.reject(this.#error);
        return true;
      }
      if (!this.#ended) return false;
    }
    waiting.resolve(messagesOf(this.#whole(), Math.min(count, this.#messages)));
    return true;
  }
}

/** A director may answer without waiting for it, and Node ends the process when nobody hears of a rejection. */
function ignoreRejection(promise: Promise<unknown>): void {
  promise.catch(() => {});
}

function rejected(error: Error): Promise<never> {
  const promise = Promise.reject(error);
  ignoreRejection(promise);
  return promise;
}

/** What a peek comes to once somebody has taken the request. */
export function requestTaken(): Promise<never> {
  return rejected(taken());
}

function taken(): Error {
  return new Error('peek() after the director has answered, or a handler has begun to read');
}

/** The first messages in a buffer that holds at least so many, as slices of it. */
function messagesOf(buffer: Buffer | undefined, count: number): Message[] {
  const messages: Message[] = [];
  let offset = 0;
  for (let i = 0; i < count && buffer !== undefined; i++) {
    const end = offset + PREFIX_LENGTH + buffer.readUInt32BE(offset + 1);
    messages.push({
      payload: buffer.subarray(offset + PREFIX_LENGTH, end),
      compressed: buffer[offset] === 1,
    });
    offset = end;
  }
  return messages;
}
