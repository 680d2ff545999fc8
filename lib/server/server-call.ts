import { AsyncResource } from 'node:async_hooks';
import { type CallContext, notAContext } from '../call/context.js';
import { DeadlineTimer } from '../call/deadline.js';
import type { EndWatch } from '../call/end-watch.js';
import type { Failure } from '../call/outcome.js';
import { WaitingSenders } from '../call/waiting-senders.js';
import { encodeMessage, type Message } from '../grpc/framing.js';
import { Metadata, type MetadataInit } from '../grpc/metadata.js';
import type { StatusError } from '../grpc/status.js';
import { type Account, type Debtor, HeldBytes, type Holder } from '../port/account.js';
import { ErrorCode } from '../port/error-code.js';
import { callHasEnded, callIsProxied } from '../port/errors.js';
import { appendHeaders, chargedSize, type HeaderList, headerValue } from '../port/headers.js';
import type { IncomingStream, StreamReceiver, StreamReset } from '../port/stream.js';
import { chargeCall, isHopeless } from './call-charge.js';
import {
  deadlineOfCall,
  endedByInterceptor,
  failureOfReset,
  headersAreSent,
  notProxied,
  tooMuchHeld,
  trailersOfError,
} from './call-failures.js';
import type { CallObservation, ObservedCall } from './call-observation.js';
import { watchContext } from './context-watch.js';
import { HeldRequest, isReadHere, takePeeked } from './held-request.js';
import type { Linked } from './linked-list.js';
import { MessageReader } from './message-reader.js';
import { type PeekOptions, requestTaken } from './peeker.js';
import type { RequestConsumer } from './request-consumer.js';
import { ResponseEdits } from './response-edits.js';
import { responseHeaders } from './response-headers.js';
import type { ServerStream } from './server-stream.js';
import type { Straggler } from './straggler.js';

/** What a call belongs to. */
export interface ServerCallOwner {
  readonly maxReceiveMessageBytes: number;
  /** Lets observers look on, unless they do so already. */
  observe(call: ServerCall): void;
  onCallFinished(call: ServerCall, failure: Failure | undefined): void;
  /** Waits for what goes on after a call, until it is told of its end; or returns why it may not go on. */
  awaitStraggler(straggler: Straggler): Failure | undefined;
  onStragglerEnded(straggler: Straggler): void;
}

/**
 * One call, from its request headers to its end. It is the receiver of its stream for all its life, and hands what
 * comes to whoever consumes the request: the messages' reader, or the proxy. However it ends, it ends in `#finish`.
 */
export class ServerCall
  implements ServerStream, ObservedCall, StreamReceiver, Debtor, Holder, Linked<ServerCall>
{
  readonly owner: ServerCallOwner;
  readonly deadline: number | undefined;
  inputEnded: boolean;
  headersSent = false;
  /** Why the client no longer waits, once it does not. */
  cancellation: Failure | undefined;
  /** `content-type` of the response, unless a backend's header list is sent. */
  responseContentType = 'application/grpc';
  /** DATA from the client, and to it. */
  octetsReceived = 0;
  octetsSent = 0;
  /** By the handler; what the proxy sends it counts itself. */
  ownMessagesSent = 0;
  /** Who takes the request; undefined before anybody does. */
  consumer: RequestConsumer | undefined;
  /** Its handler, or the proxy, has told the outcome; the interceptors may still be at work. */
  isSettled = false;
  isObserved = false;
  /** What observers see of it, if there are any. */
  observation: CallObservation | undefined;
  /** The trailers of a call that ends OK, `grpc-status` included. */
  trailers: HeaderList | undefined;
  /** The client has sent what is no request, or a message that is too long. */
  isSpoilt = false;
  asyncScope: AsyncResource | undefined;
  previous: ServerCall | undefined;
  next: ServerCall | undefined;
  readonly #stream: IncomingStream;
  #context: CallContext;
  #senders: WaitingSenders | undefined;
  #deadlineTimer: DeadlineTimer | undefined;
  /** The context whose deadline and signals end the call, and what waits for them unless they are the client's own. */
  #watched: CallContext;
  #endWatch: EndWatch | undefined;
  #finished = false;
  /** What is sent to the client waits. */
  #isBlocked = false;
  /** The client gave it no time to be served in. */
  #isHopeless = false;
  #held: HeldBytes | undefined;
  readonly #heldFields: number;
  #edits: ResponseEdits | undefined;
  #outcomeListener: ((failure: Failure | undefined) => void) | undefined;

  constructor(owner: ServerCallOwner, stream: IncomingStream, context: CallContext, inputEnded: boolean) {
    this.owner = owner;
    this.#stream = stream;
    this.#context = context;
    this.#watched = context;
    this.deadline = context.deadline;
    this.inputEnded = inputEnded;
    stream.receiver = this;
    stream.holder = this;
    this.#heldFields = chargedSize(context.headers);
    if (this.#heldFields > 0) this.held.hold(this.#heldFields);
    if (context.deadline !== undefined) {
      this.#isHopeless = isHopeless(context.deadline);
      this.#deadlineTimer = new DeadlineTimer(context.deadline, () => this.#onDeadline());
    }
  }

  /** Whether a value is a call, and not something made to look like one. */
  static is(value: object): value is ServerCall {
    return #stream in value;
  }

  get context(): CallContext {
    return this.#context;
  }

  /** @throws TypeError for anything but a context of this call: its end could not be told by that */
  set context(context: CallContext) {
    if (!this.#context.isOfSameCall(context))
      throw notAContext("a call's context", context, 'a CallContext of its own');
    this.#context = context;
    // Once the director has answered, the destinations watch what they were given.
    const isGiven = this.isProxied && this.consumer?.state !== 'directing';
    if (!this.#finished && !isGiven && !this.endsWith(context)) this.#watch(context);
  }

  get account(): Account {
    return this.#stream.account;
  }

  /** What is held for it, wherever that waits. */
  get held(): HeldBytes {
    this.#held ??= new HeldBytes(this.account, this);
    return this.#held;
  }

  get cancelled(): StatusError | undefined {
    return this.cancellation?.error;
  }

  get method(): string {
    return this.context.method;
  }

  peek(count?: number, options?: PeekOptions): Promise<Message[]> {
    this.consumer ??= new HeldRequest(this, this.context.headers, this.owner.maxReceiveMessageBytes);
    if (!(this.consumer instanceof HeldRequest)) return requestTaken();
    if (this.cancellation !== undefined) this.consumer.onCancel(this.cancellation);
    else if (this.#finished) this.consumer.onFinished();
    return this.consumer.peeker.peek(count, options);
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    const { consumer } = this;
    if (consumer instanceof MessageReader) return consumer;
    if (this.isProxied) throw callIsProxied('messages go to the destinations');
    const encoding = headerValue(this.context.headers, 'grpc-encoding');
    const reader = new MessageReader(this.#stream, encoding, this.owner.maxReceiveMessageBytes, this);
    const peeked = takePeeked(this.consumer);
    this.consumer = reader;
    // Behind the end nothing comes, and what came before went nowhere.
    reader.begin(peeked, this.#finished ? (this.cancelled ?? callHasEnded()) : undefined, this.inputEnded);
    return reader;
  }

  sendHeader(metadata: Metadata | MetadataInit = new Metadata()): void {
    this.#checkAnswersHere();
    if (this.headersSent) throw headersAreSent();
    if (this.#finished) throw this.cancelled ?? callHasEnded();
    const headers = responseHeaders(this.responseContentType, true);
    this.sendHeaderList(appendHeaders(headers, Metadata.of(metadata).toHeaders()));
  }

  async sendMessage(payload: Uint8Array): Promise<void> {
    this.#checkAnswersHere();
    if (this.#finished) throw this.cancelled ?? callHasEnded();
    const message = encodeMessage(payload);
    if (!this.headersSent) this.sendHeader();
    this.ownMessagesSent++;
    if (this.sendData(message)) return;
    this.#senders ??= new WaitingSenders();
    await this.#senders.wait();
    if (this.cancelled !== undefined) throw this.cancelled;
  }

  setHeader(metadata: Metadata | MetadataInit): void {
    if (this.headersSent) throw headersAreSent();
    this.edits.addHeaders(Metadata.of(metadata).toHeaders());
  }

  setTrailer(metadata: Metadata | MetadataInit): void {
    this.edits.addTrailers(Metadata.of(metadata).toHeaders());
  }

  // What follows is the server's and the proxy's: `ServerStream` does not show it.

  /**
   * Gives the request to the proxy, which then ends the call with {@link settle}. The stream is paused.
   *
   * @returns what somebody has peeked at
   * @throws StatusError INTERNAL if somebody has read from it, or answered it, already
   */
  giveTo(proxy: RequestConsumer): Buffer | undefined {
    if (this.isProxied || this.consumer instanceof MessageReader) {
      throw notProxied(this.isProxied ? 'it is proxied already' : 'its messages have been read here');
    }
    if (this.headersSent) throw notProxied('its response headers have been sent here');
    const peeked = takePeeked(this.consumer);
    this.consumer = proxy;
    this.owner.observe(this);
    return peeked;
  }

  /** Whether {@link giveTo} has been called. */
  get isProxied(): boolean {
    return this.consumer !== undefined && !isReadHere(this.consumer);
  }

  /** Whether the call ends when this context says so, and nobody else need see to it. */
  endsWith(context: CallContext): boolean {
    return context.deadline === this.#watched.deadline && context.ownSignals === this.#watched.ownSignals;
  }

  /** Holds the client back. */
  pause(): void {
    this.#stream.pause();
  }

  /** Lets the client go on. */
  resume(): void {
    this.#stream.resume();
  }

  /** What the application changes of the response, whoever makes it. */
  get edits(): ResponseEdits {
    this.#edits ??= new ResponseEdits(this);
    return this.#edits;
  }

  /** Sends response headers, pseudo-header fields included, as they are unless the application changes them. */
  sendHeaderList(headers: HeaderList): void {
    if (this.#finished) return;
    const edited = this.#edits === undefined ? headers : this.#edits.headers(headers);
    // Also by who edits them: they must not come behind the status.
    if (!this.#finished) this.#sendHeaders(edited);
  }

  /** Sends DATA; false: hold back until `onDrain`. */
  sendData(chunk: Buffer): boolean {
    if (this.#finished) return true;
    this.octetsSent += chunk.length;
    const hasRoom = this.#stream.sendData(chunk, false);
    if (!hasRoom) this.#isBlocked = true;
    return hasRoom;
  }

  /** Keeps the async context of now, for {@link inScope}: later, another call's frames may be at work. */
  captureScope(): void {
    // Not AsyncLocalStorage.snapshot(), which takes 12 µs on Node 20 where this takes 0.4.
    this.asyncScope ??= new AsyncResource('ServerCall');
  }

  /** Runs a hook of the application in the async context of the call, if that was captured. */
  inScope<T>(hook: () => T): T {
    return this.asyncScope === undefined ? hook() : this.asyncScope.runInAsyncScope(hook);
  }

  /** Gives the outcome of the handler, or the proxy, to `listener` instead of to the client. */
  interceptOutcome(listener: (failure: Failure | undefined) => void): void {
    this.#outcomeListener = listener;
  }

  /** The handler has returned, or failed; of a proxied call the proxy tells the outcome. */
  onHandled(failure: Failure | undefined): void {
    if (!this.isProxied) this.settle(failure);
    else if (failure !== undefined) this.consumer?.onCancel(failure);
  }

  /** The outcome of the handler, or the proxy, the first that is told; interceptors see it first, if there are any. */
  settle(failure: Failure | undefined): void {
    if (this.isSettled) return;
    this.isSettled = true;
    if (this.#outcomeListener === undefined) this.#finish(failure, true);
    else this.#outcomeListener(failure);
  }

  /** The outcome of the interceptors, or of who found that the call can't be handled. */
  end(failure: Failure | undefined): void {
    this.#finish(failure, true);
  }

  onHeaders(): void {
    // Request trailers: gRPC has none, so they say no more than that the client half-closes.
    this.onEnd();
  }

  onData(chunk: Buffer): void {
    this.octetsReceived += chunk.length;
    this.consumer?.onData(chunk);
  }

  onEnd(): void {
    this.inputEnded = true;
    this.consumer?.onEnd();
  }

  onReset(reset: StreamReset): void {
    if (reset.lost === undefined && reset.by === 'local') this.isSpoilt = true;
    this.#endEarly(failureOfReset(reset), false);
  }

  /** Most of what is too much is held for this call: its client, or a backend, takes too little of it. */
  onTooMuchHeld(): void {
    const isTold = !this.#isBlocked && !this.#finished;
    this.#endEarly(tooMuchHeld(), isTold);
    // No status would reach a client through what waits for it; and of an answer that is complete this is the rest.
    if (!isTold) this.#stream.reset(ErrorCode.ENHANCE_YOUR_CALM);
  }

  onDrain(): void {
    this.#isBlocked = false;
    this.#senders?.release();
    this.consumer?.onDrain();
  }

  #sendHeaders(headers: HeaderList): void {
    this.headersSent = true;
    this.observation?.onResponseHeaders();
    this.#stream.sendHeaders(headers, false);
  }

  #checkAnswersHere(): void {
    if (this.isProxied) throw callIsProxied('response comes from the primary');
  }

  #onDeadline(): void {
    // The client is told now, however long the handler takes to notice.
    this.#endEarly(deadlineOfCall(), true);
  }

  #watch(context: CallContext): void {
    this.#watched = context;
    this.#endWatch?.stop();
    this.#endWatch = watchContext(context, this.deadline, (failure) => this.#endEarly(failure, true));
  }

  #endEarly(failure: Failure, isClientThere: boolean): void {
    this.cancellation ??= failure;
    this.#finish(failure, isClientThere);
    // Last: listeners run at once, and what they do, as to abort a destination's signal, must not decide how the call ends.
    this.#context.cancel(failure.error);
  }

  /** The one way out. */
  #finish(failure: Failure | undefined, isClientThere: boolean): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#deadlineTimer?.stop();
    this.#endWatch?.stop();
    this.#context.end();
    if (this.#heldFields > 0) this.held.release(this.#heldFields);
    chargeCall(this.account, failure?.reason, this.isSpoilt || this.#isHopeless);
    if (isClientThere) this.#sendStatus(failure?.error);
    if (!this.isSettled) this.#abandon(failure ?? endedByInterceptor());
    this.#senders?.release();
    this.consumer?.onFinished();
    this.observation?.onEnd(failure);
    this.owner.onCallFinished(this, failure);
  }

  #sendStatus(error: StatusError | undefined): void {
    const edits = this.#edits;
    let list = error === undefined ? (this.trailers ?? ['grpc-status', '0']) : trailersOfError(error);
    // "Trailers-Only is permitted for calls that produce an immediate error" (PROTOCOL-HTTP2, Responses).
    const isOnly = !this.headersSent && !edits?.addsHeaders;
    if (!this.headersSent) {
      const headers = responseHeaders(this.responseContentType, isReadHere(this.consumer));
      if (isOnly) list = appendHeaders(headers, list);
      else this.#sendHeaders(edits!.headers(headers));
    }
    this.#stream.sendHeaders(edits === undefined ? list : edits.trailers(list, error, isOnly), true);
    // Else the rest of the request would keep the stream, and the client, busy. A no-op after half-close.
    this.#stream.reset(ErrorCode.NO_ERROR);
  }

  /** The handler, and with it the streams to backends, must not go on for nobody. */
  #abandon(failure: Failure): void {
    this.cancellation ??= failure;
    this.consumer?.onCancel(failure);
    this.#context.cancel(failure.error);
  }
}
