import { type CallContext, now } from '../grpc/call-context.js';
import { SUPPORTED_ENCODINGS } from '../grpc/compression.js';
import { encodeMessage } from '../grpc/framing.js';
import { type HeaderList, headerValue } from '../grpc/headers.js';
import { Metadata } from '../grpc/metadata.js';
import { Code, StatusError } from '../grpc/status.js';
import { ResetCode, resetCodeName } from '../grpc/status-mapping.js';
import type { IncomingStream, StreamReceiver } from '../transport/port.js';
import { MessageReader } from './message-reader.js';

/** What `setTimeout` can wait at most; a longer wait would end at once. */
const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1;

/** Who takes a call's frames over from its {@link ServerStream}. */
export interface CallOwner extends StreamReceiver {
  /** The deadline has passed, or an interceptor has ended the call: `error` is to be the outcome. */
  onCancel(error: StatusError): void;
}

/**
 * One call, as handlers and interceptors see it.
 *
 * A handler reads the messages by async iteration, answers with {@link sendHeader}, {@link sendMessage} and
 * {@link setTrailer}, and ends the call by returning, or by throwing a `StatusError`.
 */
export class ServerStream implements StreamReceiver, AsyncIterable<Buffer> {
  /** Replace it to hand on a derived context; a director gets it, and destinations by default. */
  context: CallContext;
  /** When the client gives up, as milliseconds since the epoch; the server sees to it. */
  readonly deadline: number | undefined;
  /** `content-type` of the response, unless a backend's header list is sent. */
  responseContentType = 'application/grpc';
  readonly #stream: IncomingStream;
  readonly #maxReceiveMessageBytes: number;
  readonly #onFinished: () => void;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #owner: CallOwner | undefined;
  #reader: MessageReader | undefined;
  #inputEnded: boolean;
  #headersSent = false;
  #ended = false;
  #finished = false;
  #trailers: HeaderList | undefined;
  #outcomeListener: ((error: StatusError | undefined) => void) | undefined;
  #cancelled: StatusError | undefined;
  #waitingForDrain: (() => void)[] | undefined;

  /** @internal Made by the server. */
  constructor(
    stream: IncomingStream,
    context: CallContext,
    inputEnded: boolean,
    maxReceiveMessageBytes: number,
    onFinished: () => void,
  ) {
    this.#stream = stream;
    this.context = context;
    this.deadline = context.deadline;
    this.#inputEnded = inputEnded;
    this.#maxReceiveMessageBytes = maxReceiveMessageBytes;
    this.#onFinished = onFinished;
    stream.receiver = this;
    if (context.deadline !== undefined) this.#armDeadline(context.deadline);
  }

  /** `/service/method`. */
  get method(): string {
    return this.context.method;
  }

  /** Whether the client has half-closed, and everything it sent has been delivered. */
  get inputEnded(): boolean {
    return this.#inputEnded;
  }

  /** Whether response headers have gone out. */
  get headersSent(): boolean {
    return this.#headersSent;
  }

  /** Why the client no longer waits for the call, once it does not: CANCELLED or DEADLINE_EXCEEDED. */
  get cancelled(): StatusError | undefined {
    return this.#cancelled;
  }

  /**
   * The client's messages, inflated if they were compressed, each at most `maxReceiveMessageBytes`. Ends when
   * the client half-closes; throws a `StatusError` when it cancels, the deadline passes, or the bytes are no
   * messages.
   */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    if (this.#reader === undefined) {
      const encoding = headerValue(this.context.headers, 'grpc-encoding') ?? 'identity';
      this.#reader = new MessageReader(this.#stream, encoding, this.#maxReceiveMessageBytes);
      if (this.#cancelled !== undefined) this.#reader.fail(this.#cancelled);
      else if (this.#inputEnded) this.#reader.end();
    }
    return this.#reader;
  }

  /**
   * Sends the response headers, with this metadata. The first message sends them anyway.
   *
   * @throws Error if they have been sent
   */
  sendHeader(metadata: Metadata = new Metadata()): void {
    if (this.#headersSent) throw new Error('response headers have been sent already');
    const headers = this.#responseHeaders('grpc-accept-encoding', SUPPORTED_ENCODINGS);
    this.sendHeaderList(appended(headers, metadata.toHeaders()));
  }

  /**
   * Sends a message, and the headers before it if need be. Resolves when the client has room for more.
   *
   * @throws StatusError if the client no longer waits for the call
   */
  async sendMessage(payload: Uint8Array): Promise<void> {
    if (this.#cancelled !== undefined) throw this.#cancelled;
    if (this.#finished) throw new Error('the call has ended');
    if (!this.#headersSent) this.sendHeader();
    if (this.#stream.sendData(encodeMessage(payload), false)) return;
    await new Promise<void>((resolve) => {
      this.#waitingForDrain ??= [];
      this.#waitingForDrain.push(resolve);
    });
    if (this.#cancelled !== undefined) throw this.#cancelled;
  }

  /** Sets the metadata of the trailers, for a call that ends OK; a `StatusError` brings its own. */
  setTrailer(metadata: Metadata): void {
    this.#trailers = appended(['grpc-status', '0'], metadata.toHeaders());
  }

  /**
   * Hands the call's frames to `owner`, who then ends it with {@link end}: the way of the proxy, past message
   * parsing and promises. The stream is paused.
   */
  takeOver(owner: CallOwner): IncomingStream {
    this.#owner = owner;
    this.#stream.receiver = owner;
    return this.#stream;
  }

  /** Whether {@link takeOver} has been called. */
  get takenOver(): boolean {
    return this.#owner !== undefined;
  }

  /** Sends response headers as they are, pseudo-header fields included. */
  sendHeaderList(headers: HeaderList): void {
    if (this.#finished) return;
    this.#headersSent = true;
    this.#stream.sendHeaders(headers, false);
  }

  /** Sets the trailers for a call that ends OK as they are, `grpc-status` included. */
  setTrailerList(trailers: HeaderList): void {
    this.#trailers = trailers;
  }

  /** For an owner: it has delivered the client's half-close. */
  markInputEnded(): void {
    this.#inputEnded = true;
  }

  /** For an owner: the client's reset, as the call's outcome. */
  cancelByReset(code: number, connectionLost: boolean): StatusError {
    const reason = connectionLost
      ? 'the client disconnected'
      : `the client cancelled the call (${resetCodeName(code)})`;
    const error = new StatusError(Code.CANCELLED, reason);
    this.#cancel(error);
    this.#release();
    return error;
  }

  /** The handler's outcome, the first that is told; interceptors see it first, if there are any. */
  end(error?: StatusError): void {
    if (this.#ended) return;
    this.#ended = true;
    const listener = this.#outcomeListener;
    if (listener === undefined) {
      this.finish(error);
    } else {
      listener(error);
    }
  }

  /** @internal For the server: gives the next outcome to `listener` instead of to the client. */
  interceptOutcome(listener: (error: StatusError | undefined) => void): void {
    this.#outcomeListener = listener;
  }

  /** @internal For the server: sends the status, and lets go of the stream. */
  finish(error: StatusError | undefined): void {
    if (this.#finished) return;
    if (!this.#ended) {
      // The handler, and with it the streams to backends, must not go on for nobody.
      this.#abandon(error ?? new StatusError(Code.CANCELLED, 'an interceptor has ended the call'));
      if (this.#finished) return;
    }
    const trailers = error?.toTrailers() ?? this.#trailers ?? ['grpc-status', '0'];
    // "Trailers-Only is permitted for calls that produce an immediate error" (PROTOCOL-HTTP2, Responses).
    if (this.#headersSent) this.#stream.sendHeaders(trailers, true);
    else this.#stream.sendHeaders(appended(this.#responseHeaders(), trailers), true);
    this.#release();
    // Else the rest of the request would keep the stream, and the client, busy. A no-op after half-close.
    this.#stream.reset(ResetCode.NO_ERROR);
  }

  onHeaders(): void {
    // Request trailers: gRPC has none, so they say no more than that the client half-closes.
    this.onEnd();
  }

  onData(chunk: Buffer): void {
    this.#reader?.push(chunk);
  }

  onEnd(): void {
    this.#inputEnded = true;
    this.#reader?.end();
  }

  onReset(code: number, connectionLost: boolean): void {
    const error = this.cancelByReset(code, connectionLost);
    this.#reader?.fail(error);
  }

  onDrain(): void {
    const waiting = this.#waitingForDrain;
    if (waiting === undefined) return;
    this.#waitingForDrain = undefined;
    for (const resolve of waiting) resolve();
  }

  #responseHeaders(...fields: string[]): HeaderList {
    return [':status', '200', 'content-type', this.responseContentType, ...fields];
  }

  #cancel(error: StatusError): void {
    this.#cancelled ??= error;
    this.context.cancel(error);
  }

  #armDeadline(deadline: number): void {
    const wait = Math.min(Math.max(0, deadline - now()), MAX_TIMER_MILLISECONDS);
    this.#deadlineTimer = setTimeout(() => this.#onDeadlineTimer(deadline), wait);
  }

  #onDeadlineTimer(deadline: number): void {
    // Timers may be early by a fraction of a millisecond, or have been cut to what setTimeout can.
    if (now() < deadline) {
      this.#armDeadline(deadline);
      return;
    }
    const error = new StatusError(Code.DEADLINE_EXCEEDED, 'the deadline of the call has passed');
    this.#cancel(error);
    // The client is told now, however long the handler takes to notice.
    this.finish(error);
  }

  /** Tells whoever works on the call that the client waits no longer. */
  #abandon(reason: StatusError): void {
    this.#cancel(reason);
    this.#reader?.fail(reason);
    this.#owner?.onCancel(reason);
  }

  #release(): void {
    if (this.#finished) return;
    this.#finished = true;
    clearTimeout(this.#deadlineTimer);
    this.onDrain();
    this.#onFinished();
  }
}

function appended(headers: HeaderList, more: HeaderList): HeaderList {
  for (const text of more) headers.push(text);
  if (more.neverIndexed !== undefined) headers.neverIndexed = more.neverIndexed;
  return headers;
}
