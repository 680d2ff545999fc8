import { cancelledByContext, deadlinePassed } from '../call/cancellation.js';
import { now } from '../call/clock.js';
import type { CallContext } from '../call/context.js';
import { earlierDeadline } from '../call/deadline.js';
import { EndWatch } from '../call/end-watch.js';
import type { Failure, FailureReason } from '../call/outcome.js';
import type { Metadata } from '../grpc/metadata.js';
import { MessageScanner } from '../grpc/scanner.js';
import { Code, StatusError } from '../grpc/status.js';
import { codeFromErrorCode } from '../grpc/status-mapping.js';
import { withoutContentLength } from '../grpc/trailers.js';
import type { Holder } from '../port/account.js';
import { checkedAuthority } from '../port/address.js';
import { ErrorCode, errorCodeName } from '../port/error-code.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { Stream, StreamReceiver, StreamReset } from '../port/stream.js';
import type { CallOptions } from './call-options.js';
import type { ClientShare } from './channel/lanes.js';
import type { PickedConnection } from './channel/picker.js';
import type { WaitingCall } from './channel/waiting-calls.js';
import type { ClientConn } from './client-conn.js';
import { requestHeaders } from './request-headers.js';
import { hasGrpcContentType, missingStatus, notGrpc } from './response-check.js';
import { SentData } from './sent-data.js';
import { connectionLost } from './unavailable.js';

/** What a {@link ClientCall} delivers; `onOpen` and the two ends may come from inside its `start`. */
export interface CallReceiver {
  /** The request's HEADERS are out: data can be sent. */
  onOpen(): void;
  /** The stream could not be opened: the call is over, and the backend knows nothing of it. */
  onOpenFailed(failure: Failure): void;
  /** The response headers. Not called for a Trailers-Only response. */
  onHeaders(headers: HeaderList): void;
  /** DATA of the response: whole messages in the end, but cut anywhere. */
  onData(chunk: Buffer): void;
  /** `sendData` may be called again after it returned false. */
  onDrain(): void;
  /**
   * The call is over; a failure of undefined is OK. `trailers` is the list that the backend ended it with; without
   * one the proxy made the error itself.
   */
  onFinish(failure: Failure | undefined, trailers: HeaderList | undefined): void;
}

/**
 * One call to a backend: waits for a connection, retries a stream that the backend refused, and turns the end of
 * the HTTP/2 stream into a gRPC status.
 */
export class ClientCall implements WaitingCall, StreamReceiver {
  /** How many streams have been opened for it. */
  attempts = 0;
  /** Whose call it is. */
  readonly client: ClientShare;
  readonly #conn: ClientConn;
  readonly #context: CallContext;
  /** The application's options are read once, when the call is made: they may be anything. */
  readonly waitForReady: boolean;
  readonly #authority: string | undefined;
  readonly #makeCredentials: CallOptions['credentials'];
  readonly #receiver: CallReceiver;
  readonly #scanner: MessageScanner;
  /** What the attempt that runs was given. */
  #picked: PickedConnection | undefined;
  #stream: Stream | undefined;
  /** What has been sent, while a refused stream can still be retried. */
  readonly #sent: SentData;
  readonly #holder: Holder;
  #credentials: Metadata | undefined;
  readonly #deadline: number | undefined;
  readonly #watchesEnd: boolean;
  #endWatch: EndWatch | undefined;
  /** The response's HTTP status is an error, and its trailers may say more. Its messages are nobody's. */
  #httpError: StatusError | undefined;
  /** `sendData` has returned false, and `onDrain` has not been called since. */
  #holdsBack = false;
  /** The channel counts it among those that run. */
  #isCounted = false;
  #done = false;

  /**
   * @param holder whom what is held for it is charged to
   * @param inheritsEnd whether the receiver sees to the context's deadline and cancellation
   */
  constructor(
    conn: ClientConn,
    context: CallContext,
    options: CallOptions,
    receiver: CallReceiver,
    holder: Holder,
    inheritsEnd: boolean,
  ) {
    this.#holder = holder;
    this.client = conn.channel.shareOf(holder.account);
    this.#sent = new SentData(holder);
    this.#conn = conn;
    this.#context = context;
    this.waitForReady = options.waitForReady === true;
    this.#authority = authorityOf(options, context);
    this.#makeCredentials = options.credentials;
    this.#receiver = receiver;
    this.#scanner = new MessageScanner(options.maxReceiveMessageBytes);
    const deadline = options.deadline === undefined ? undefined : Number(options.deadline);
    if (Number.isNaN(deadline)) {
      throw new TypeError('callOptions.deadline must be a Date or milliseconds since the epoch');
    }
    this.#deadline = earlierDeadline(context.deadline, deadline);
    this.#watchesEnd = !inheritsEnd || this.#deadline !== context.deadline;
  }

  /** Complete messages of the response so far. */
  get messagesReceived(): number {
    return this.#scanner.messages;
  }

  /** Opens the stream. */
  start(): void {
    if (this.#watchesEnd) this.#watchEnd();
    if (!this.#done) this.#begin();
  }

  /** Sends DATA; false: hold back until `onDrain`. */
  sendData(chunk: Buffer, endStream: boolean): boolean {
    if (this.#done) return true;
    this.#sent.add(chunk, endStream);
    // Without a stream, a retry is waiting for its connection.
    const hasRoom = this.#stream?.sendData(chunk, endStream) ?? false;
    if (!hasRoom) this.#holdsBack = true;
    return hasRoom;
  }

  /** Lets go of what is held for a retry, unless one is under way. */
  forgetSent(): void {
    this.#sent.forget();
  }

  /** From now on, nobody else sees to the context's deadline and cancellation. */
  watchEnd(): void {
    if (!this.#done && this.#endWatch === undefined) this.#watchEnd();
  }

  /** Holds the response back. */
  pause(): void {
    this.#stream?.pause();
  }

  /** Goes on with the response. */
  resume(): void {
    this.#stream?.resume();
  }

  /** Ends the call, with RST_STREAM(CANCEL) if the backend knows of it; nothing is delivered any more. */
  cancel(): void {
    if (!this.#done) this.#leave(LEFT);
  }

  onConnection(picked: PickedConnection): void {
    const headers = this.#requestHeaders(picked.authority);
    if (headers === undefined) return;
    this.#picked = picked;
    picked.onCallBegun();
    const stream = picked.connection.openStream();
    this.#stream = stream;
    if (this.attempts === 0) this.client.streams++;
    stream.receiver = this;
    stream.holder = this.#holder;
    stream.sendHeaders(headers, false);
    stream.resume();
    this.attempts++;
    if (this.attempts === 1) this.#receiver.onOpen();
    else if (this.#sent.replay(stream)) this.onDrain();
  }

  onUnavailable(failure: Failure): void {
    this.#finish(failure, undefined);
  }

  onHeaders(received: HeaderList, endStream: boolean): void {
    this.#sent.drop();
    const headers = withoutContentLength(received);
    if (endStream) {
      this.#onTrailers(headers);
      return;
    }
    const error = notGrpc(this.#conn.target, headers);
    if (error === undefined) this.#receiver.onHeaders(headers);
    else if (hasGrpcContentType(headers)) this.#httpError = error;
    else this.#fail(error, 'backend_protocol');
  }

  onData(chunk: Buffer): void {
    if (this.#httpError !== undefined) return;
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      this.#failFraming(error as StatusError);
      return;
    }
    this.#receiver.onData(chunk);
  }

  onEnd(): void {
    // "Response → (Response-Headers *Length-Prefixed-Message Trailers) / Trailers-Only" (PROTOCOL-HTTP2).
    const text = `${this.#conn.target} ended the response without trailers`;
    this.#fail(this.#httpError ?? StatusError.withoutStack(Code.INTERNAL, text), 'backend_protocol');
  }

  onReset(reset: StreamReset): void {
    if (this.#httpError !== undefined) {
      this.#fail(this.#httpError, 'backend_protocol');
    } else if (reset.code === ErrorCode.REFUSED_STREAM && this.#sent.complete && this.attempts === 1) {
      this.#retry(reset);
    } else {
      this.#finish(this.#failureOf(reset), undefined);
    }
  }

  onDrain(): void {
    if (!this.#holdsBack) return;
    this.#holdsBack = false;
    this.#receiver.onDrain();
  }

  #endAttempt(failure: Failure | undefined): void {
    this.#picked?.onCallEnded(failure);
    this.#picked = undefined;
  }

  #begin(): void {
    const failure = this.#conn.channel.begin();
    if (failure !== undefined) {
      this.#finish(failure, undefined);
      return;
    }
    this.#isCounted = true;
    const credentials = this.#makeCredentials;
    if (credentials === undefined) this.#open();
    else void this.#openWithCredentials(credentials);
  }

  #open(): void {
    const connection = this.#conn.channel.pick(this.client);
    if (connection !== undefined) {
      this.onConnection(connection);
      return;
    }
    const failure = this.#conn.channel.wait(this);
    if (failure !== undefined) this.#finish(failure, undefined);
  }

  async #openWithCredentials(credentials: NonNullable<CallOptions['credentials']>): Promise<void> {
    try {
      this.#credentials = await credentials(this.#context);
    } catch (error) {
      this.#fail(StatusError.from(error), 'director');
      return;
    }
    if (!this.#done) this.#open();
  }

  /**
   * The backend says that its application has not seen the call: such a call is tried again once, without being asked
   * (gRFC A6, transparent retries).
   */
  #retry(reset: StreamReset): void {
    const { connection } = this.#picked!;
    this.#endAttempt(this.#failureOf(reset));
    this.#sent.keep();
    this.#stream = undefined;
    const failure = this.#conn.channel.waitRefused(this, connection);
    if (failure !== undefined) this.#finish(failure, undefined);
  }

  #failureOf({ code, by, text, lost }: StreamReset): Failure {
    const { target } = this.#conn;
    if (lost !== undefined) return connectionLost(target, lost);
    const name = errorCodeName(code);
    const status = codeFromErrorCode(code);
    if (by === 'peer') {
      const why = text === undefined ? name : `${name}, ${text}`;
      return {
        error: StatusError.withoutStack(status, `${target} reset the stream: ${why}`),
        reason: 'backend_reset',
      };
    }
    const why = text === undefined ? name : `${text} (${name})`;
    return {
      error: StatusError.withoutStack(status, `the stream to ${target} failed: ${why}`),
      reason: code === ErrorCode.ENHANCE_YOUR_CALM ? 'limit' : 'backend_protocol',
    };
  }

  /** Undefined if the context or the credentials, which are the application's, are nonsense; then the call is over. */
  #requestHeaders(byDefault: string | undefined): HeaderList | undefined {
    if (this.#deadline !== undefined && this.#deadline <= now()) {
      // The backend would only hear of a call that is cancelled at once.
      this.#onDeadline();
      return undefined;
    }
    const authority = this.#authority ?? byDefault;
    const line = { scheme: this.#conn.scheme, authority, deadline: this.#deadline };
    try {
      return requestHeaders(this.#context, line, this.#credentials);
    } catch (error) {
      this.#fail(
        new StatusError(Code.INTERNAL, `cannot make the request headers: ${StatusError.from(error).message}`),
        'director',
      );
      return undefined;
    }
  }

  #watchEnd(): void {
    this.#endWatch = new EndWatch(
      { signals: this.#context.ownSignals, deadline: this.#deadline },
      () => this.#onDeadline(),
      () => this.#fail(cancelledByContext(), 'director'),
    );
  }

  #onDeadline(): void {
    this.#fail(deadlinePassed(), 'deadline');
  }

  #onTrailers(trailers: HeaderList): void {
    // "If grpc-status was provided, it must be used" (http-grpc-status-mapping.md). But OK cannot be used where what it
    // is said of was dropped.
    const hasStatus = headerValue(trailers, 'grpc-status') !== undefined;
    const told = hasStatus ? StatusError.fromTrailers(trailers) : undefined;
    if (told !== undefined) {
      this.#finish({ error: told, reason: 'backend_status' }, trailers);
      return;
    }
    const error = this.#httpError ?? (hasStatus ? undefined : missingStatus(this.#conn.target, trailers));
    if (error !== undefined) {
      this.#finish({ error, reason: 'backend_protocol' }, trailers);
      return;
    }
    try {
      this.#scanner.end();
    } catch (truncated) {
      this.#finish({ error: truncated as StatusError, reason: 'backend_protocol' }, trailers);
      return;
    }
    this.#finish(undefined, trailers);
  }

  #failFraming(error: StatusError): void {
    this.#fail(error, error.code === Code.RESOURCE_EXHAUSTED ? 'limit' : 'backend_protocol');
  }

  #fail(error: StatusError, reason: FailureReason): void {
    this.#finish({ error, reason }, undefined);
  }

  #finish(failure: Failure | undefined, trailers: HeaderList | undefined): void {
    if (this.#done) return;
    this.#leave(failure);
    if (this.attempts === 0 && failure !== undefined) this.#receiver.onOpenFailed(failure);
    else this.#receiver.onFinish(failure, trailers);
  }

  #leave(failure: Failure | undefined): void {
    this.#done = true;
    if (this.attempts > 0) this.client.streams--;
    this.#endAttempt(failure);
    if (this.#isCounted) this.#conn.channel.end();
    this.#sent.drop();
    this.#endWatch?.stop();
    // Without effect on a stream that has ended on both sides; else the backend must know that nobody listens.
    if (this.#stream !== undefined) this.#stream.reset(ErrorCode.CANCEL);
    else this.#conn.channel.stopWaiting(this);
  }
}

/** What an attempt ends with whose call is wanted no more: it says nothing of the backend. */
const LEFT: Failure = {
  error: StatusError.withoutStack(Code.CANCELLED, 'the call is wanted no more'),
  reason: 'client_cancelled',
};

/** @throws TypeError for an `authority` that cannot be sent: the connection, which is others' too, could break by it */
function authorityOf(
  { authority, preserveAuthority }: CallOptions,
  context: CallContext,
): string | undefined {
  if (authority !== undefined) return checkedAuthority('callOptions.authority', authority);
  return preserveAuthority === true ? context.authority : undefined;
}
