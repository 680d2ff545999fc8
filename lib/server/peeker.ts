import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import { PayloadAssembler } from '../grpc/assembler.js';
import { type Message, PREFIX_LENGTH } from '../grpc/framing.js';
import { MessageScanner } from '../grpc/scanner.js';
import { Code, StatusError } from '../grpc/status.js';
import type { HeldBytes } from '../port/account.js';
import { brand } from '../port/brand.js';
import { callHasEnded, ownError } from '../port/errors.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import { keepLong } from '../port/lent-memory.js';
import { checkedFlag, checkOptions, checkSignal } from '../port/options.js';
import { awaitEndOfTurn } from './end-of-turn.js';
import { InflatedMessages } from './inflated-messages.js';
import { rejected, WaitingPeek } from './waiting-peek.js';

/** Thrown by {@link StreamPeeker.peek} for a count that is no positive integer. */
export class InvalidPeekCountError extends RangeError {
  /** Always `InvalidPeekCountError`. */
  override name = 'InvalidPeekCountError';
  /** As of every number that is too small or too large. */
  readonly code = 'ERR_OUT_OF_RANGE';

  /** As a peek is rejected with it. */
  constructor() {
    super('peek count must be greater than zero');
  }
}

brand(InvalidPeekCountError, 'InvalidPeekCountError');

/** How {@link StreamPeeker.peek} looks. */
export interface PeekOptions {
  /**
   * False gives compressed messages as they came, their `compressed` flag set; by default they are inflated (gzip, deflate)
   * within the peek limit. What the destinations get is as it came in either case.
   */
  readonly inflate?: boolean | undefined;
  /** Rejects the peek with its reason when it aborts; the call goes on, and can be peeked at again. None by default. */
  readonly signal?: AbortSignal | undefined;
}

/** Lets a director look at the first messages of a call. They are not consumed. */
export interface StreamPeeker {
  /**
   * Whether the client is known to have half-closed: {@link peek} gives what there is then, without waiting. False says no
   * more than that its half-close has not come so far. A peek is answered only when what came together with its last
   * message has been read, and clients send a unary request and its half-close together as a rule. So this one is unary:
   * `(await peeker.peek()).length === 1 && peeker.ended && (await peeker.peek(2)).length === 1`. Stays as it is once the
   * director has answered.
   */
  readonly ended: boolean;

  /**
   * The first `count` messages, by default one; fewer if the client half-closes before. Can be called again, for
   * the same messages or more. The client is held back beyond them.
   *
   * @returns a promise that is rejected with an `InvalidPeekCountError`, or a TypeError for an option that is none; with the
   *   reason of `options.signal`; with a `StatusError`: RESOURCE_EXHAUSTED if the messages are over the peek limit, which
   *   shows at a message's length prefix already, or when they are inflated; INTERNAL if the bytes are no messages, or
   *   cannot be inflated, UNIMPLEMENTED if their encoding is not known here; CANCELLED or DEADLINE_EXCEEDED; or an Error if
   *   the director has answered already
   */
  peek(count?: number, options?: PeekOptions): Promise<Message[]>;
}

/** @throws TypeError for one that makes no sense */
function checkPeekOptions(options: PeekOptions): void {
  checkOptions(options, { inflate: true, signal: true });
  checkedFlag('options.inflate', options.inflate, true);
  checkSignal('options.signal', options.signal);
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
  #waiting: WaitingPeek[] = [];
  #isTurnAwaited = false;
  #inflated: InflatedMessages | undefined;
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

  get ended(): boolean {
    return this.#ended;
  }

  /** Complete messages, as far as anybody has looked; and of what has been dropped all. */
  get messages(): number {
    return this.#scanner?.messages ?? 0;
  }

  peek(count = 1, options: PeekOptions = {}): Promise<Message[]> {
    if (!Number.isInteger(count) || count < 1) return rejected(new InvalidPeekCountError());
    try {
      checkPeekOptions(options);
    } catch (mistake) {
      return rejected(mistake);
    }
    const { inflate, signal } = options;
    if (signal?.aborted) return rejected(signal.reason);
    if (this.#taken) return requestTaken();
    const waiting = new WaitingPeek(count, inflate !== false, signal, (aborted) => this.#forget(aborted));
    this.#waiting.push(waiting);
    this.#scan();
    if (this.#waiting.length > 0) {
      this.#limitWait();
      this.#client.resume();
    }
    return waiting.messages;
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
    // Not as soon as what is wanted is there: mostly the director is about to answer, too, and the end comes along.
    if (this.#messages >= this.#wanted) {
      this.#client.pause();
      return;
    }
    this.#look();
    if (this.#error !== undefined) {
      this.#answerAll();
    } else if (this.#waiting.some(({ count }) => count <= this.#messages) && !this.#isTurnAwaited) {
      this.#isTurnAwaited = true;
      awaitEndOfTurn(this);
    }
  }

  onEndOfTurn(): void {
    this.#isTurnAwaited = false;
    this.#answerAll();
  }

  /** The client has half-closed. */
  end(): void {
    this.#ended = true;
    this.#scan();
  }

  /** Whether peeks have been rejected with this. */
  hasFailedWith(error: Error): boolean {
    return error === this.#error || error === this.#inflated?.failure;
  }

  /** Ends all peeks, and those to come, with this error. */
  fail(error: Error): void {
    this.#error ??= error;
    if (!this.#taken) this.#scan();
  }

  /** What is held, for who takes the request: a director has answered, or a handler reads. */
  take(): Buffer | undefined {
    this.#close();
    const held = this.#whole();
    this.#release();
    return held;
  }

  /** Nobody will take the request: the director has refused it. */
  refuse(): void {
    this.#close();
    this.drop();
  }

  /** Lets go of what is held, which counts as received. */
  drop(): void {
    if (this.#unscanned !== undefined) {
      this.#scanner ??= new MessageScanner(this.#maxBytes);
      try {
        this.#scanner.push(this.#unscanned);
      } catch {
        // No messages: they are counted as far as they are some.
      }
    }
    this.#release();
  }

  #close(): void {
    // An error costs its stack: not for each call that did not peek.
    if (this.#waiting.length > 0 || this.#inflated?.isAtWork) this.fail(taken());
    this.#taken = true;
  }

  #release(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    if (this.#heldBytes > 0) this.#client.held.release(this.#heldBytes);
    this.#inflated?.drop(this.#error ?? callHasEnded());
    this.#held = undefined;
    this.#assembler = undefined;
    this.#unscanned = undefined;
    this.#messages = 0;
  }

  /** A peek has been given up. */
  #forget(aborted: WaitingPeek): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== aborted);
    this.#stopTimer();
  }

  #limitWait(): void {
    if (this.#timer !== undefined || this.#timeout > MAX_TIMER_MILLISECONDS) return;
    this.#timer = setTimeout(() => {
      const message = `the client has not sent what is peeked at within ${this.#timeout} ms`;
      this.fail(StatusError.withoutStack(Code.DEADLINE_EXCEEDED, message));
    }, this.#timeout);
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

  /** How many messages are peeked at by those who wait. */
  get #wanted(): number {
    return this.#waiting.reduce((most, { count }) => Math.max(most, count), 0);
  }

  /** Scans on as far as anybody waits, and answers those who have what they want. */
  #scan(): void {
    this.#look();
    this.#answerAll();
  }

  #look(): void {
    try {
      this.#scanTo(this.#wanted);
    } catch (error) {
      this.#error ??= error as Error;
    }
  }

  #answerAll(): void {
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => !this.#answer(waiting));
    this.#stopTimer();
  }

  #stopTimer(): void {
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

  #answer(waiting: WaitingPeek): boolean {
    const { count } = waiting;
    if (this.#messages < count) {
      if (this.#error !== undefined) {
        waiting.reject(this.#error);
        return true;
      }
      if (!this.#ended) return false;
    }
    const messages = messagesOf(this.#whole(), Math.min(count, this.#messages));
    if (!waiting.inflates || !messages.some(({ compressed }) => compressed)) {
      waiting.resolve(messages);
      return true;
    }
    const encoding = headerValue(this.#headers, 'grpc-encoding');
    this.#inflated ??= new InflatedMessages(encoding, this.#maxBytes, this.#client.held);
    waiting.resolveWith(this.#inflated.of(messages));
    return true;
  }
}

/** What a peek comes to once somebody has taken the request. */
export function requestTaken(): Promise<never> {
  return rejected(taken());
}

function taken(): Error {
  return ownError(
    'ERR_PEEK_TOO_LATE',
    'peek() after the director has answered, or a handler has begun to read',
  );
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
