import { decompress } from '../grpc/compression.js';
import { type Message, MessageParser, PREFIX_LENGTH } from '../grpc/framing.js';
import type { Holder } from '../port/account.js';
import { ownError } from '../port/errors.js';
import { keep } from '../port/lent-memory.js';
import type { Stream } from '../port/stream.js';
import { type Deferred, deferred } from './deferred.js';

/** A call's messages, pulled one by one; who sends them is held back while nobody pulls. */
export class MessageQueue implements AsyncIterator<Buffer> {
  messagesReceived = 0;
  /** By what messages are compressed that are. */
  encoding: string | undefined;
  readonly #stream: Pick<Stream, 'pause' | 'resume'>;
  readonly #maxMessageBytes: number;
  readonly #holder: Holder;
  #heldBytes = 0;
  readonly #parser: MessageParser;
  readonly #messages: Message[] = [];
  #waiting: Deferred<Message | undefined> | undefined;
  #ended = false;
  #mayInflate = true;
  #error: Error | undefined;

  /** @param holder whom what is read ahead is charged to */
  constructor(
    stream: Pick<Stream, 'pause' | 'resume'>,
    encoding: string | undefined,
    maxMessageBytes: number,
    holder: Holder,
  ) {
    this.#holder = holder;
    this.#stream = stream;
    this.encoding = encoding;
    this.#maxMessageBytes = maxMessageBytes;
    this.#parser = new MessageParser((payload, compressed) => {
      this.messagesReceived++;
      this.#messages.push({ payload, compressed });
    }, maxMessageBytes);
  }

  /** Whether none is here that has not been pulled. */
  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    const message = this.#messages.shift() ?? (await this.#pull());
    this.#release(message === undefined ? this.#heldBytes : message.payload.length + PREFIX_LENGTH);
    if (message === undefined) return { done: true, value: undefined };
    return { done: false, value: message.compressed ? await this.#inflated(message) : message.payload };
  }

  onData(chunk: Buffer): void {
    // What follows is no message.
    if (this.#error !== undefined) return;
    this.#holder.held.hold(chunk.length);
    this.#heldBytes += chunk.length;
    try {
      this.#parser.push(keep(chunk));
    } catch (error) {
      this.#error ??= error as Error;
    }
    this.#deliver();
    if (this.#messages.length > 0) this.#stream.pause();
  }

  onEnd(): void {
    try {
      this.#parser.end();
      this.#ended = true;
    } catch (error) {
      this.#error ??= error as Error;
    }
    this.#deliver();
  }

  /** The call has ended: what is left is whoever's who may still pull it. */
  onFinished(): void {
    this.#release(this.#heldBytes);
  }

  /** Nobody is to wait for what is being inflated, which no client is charged for any more. */
  protected stopInflating(): void {
    this.#mayInflate = false;
  }

  /** No more will come, for this reason. Messages that are already here are still given out. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#deliver();
  }

  /** Charged as it grows; once it is there it is the application's. */
  async #inflated({ payload }: Message): Promise<Buffer> {
    const { held } = this.#holder;
    let charged = 0;
    const onGrowth = (bytes: number): boolean => {
      if (!this.#mayInflate) return false;
      held.hold(bytes);
      charged += bytes;
      return true;
    };
    try {
      return await decompress(payload, this.encoding, this.#maxMessageBytes, onGrowth);
    } catch (error) {
      throw this.#mayInflate ? error : (this.#error ?? error);
    } finally {
      held.release(charged);
    }
  }

  #release(bytes: number): void {
    const released = Math.min(bytes, this.#heldBytes);
    this.#heldBytes -= released;
    if (released > 0) this.#holder.held.release(released);
  }

  #deliver(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const message = this.#messages.shift();
    if (message !== undefined || this.#ended) waiting.resolve(message);
    else if (this.#error !== undefined) waiting.reject(this.#error);
    else return;
    this.#waiting = undefined;
  }

  #pull(): Promise<Message | undefined> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(undefined);
    if (this.#waiting !== undefined) {
      return Promise.reject(
        ownError('ERR_ONE_READER', 'a call has one reader: wait for a message before asking for the next'),
      );
    }
    this.#waiting = deferred();
    const { promise } = this.#waiting;
    this.#stream.resume();
    return promise;
  }
}
