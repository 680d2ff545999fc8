import { cancelledByContext, deadlinePassed } from '../call/cancellation.js';
import { now } from '../call/clock.js';
import { EndWatch } from '../call/end-watch.js';
import type { Scoped } from '../call/hooks.js';
import type { DestinationWatcher } from '../call/observer.js';
import type { Failure, FailureReason } from '../call/outcome.js';
import type { Metadata } from '../grpc/metadata.js';
import { MessageScanner } from '../grpc/scanner.js';
import { Code, StatusError } from '../grpc/status.js';
import { withoutContentLength } from '../grpc/trailers.js';
import type { Holder } from '../port/account.js';
import { ErrorCode } from '../port/error-code.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { Stream, StreamReceiver, StreamReset } from '../port/stream.js';
import { AttemptWatch } from './attempt-watch.js';
import type { CallReceiver } from './call-receiver.js';
import type { CallRoute } from './call-route.js';
import type { ClientShare } from './channel/lanes.js';
import type { PickedConnection } from './channel/picker.js';
import type { WaitingCall } from './channel/waiting-calls.js';
import { authorityOf, deadlineOf, type OutgoingRequest } from './outgoing-request.js';
import { requestHeaders } from './request-headers.js';
import { hasGrpcContentType, missingStatus, notGrpc } from './response-check.js';
import { SentData } from './sent-data.js';
import { streamFailure } from './stream-failure.js';

/**
 * One call to a backend: waits for connections, makes one attempt after another as long as that may be of use, and turns
 * the end of the HTTP/2 stream into a gRPC status.
 *
 *     waiting ──────→ attempting ──────→ over        a call that no backend has seen waits again,
 *      ↑   ↑ ↖ unseen ───┘   │                        one that a backend has failed backs off first,
 *      │   └── backing off ←─┘ failed                 if its policy says so
 */
export class ClientCall implements WaitingCall, StreamReceiver {
  /** How many streams have been opened for it. */
  attempts = 0;
  /** Whose call it is. */
  readonly client: ClientShare;
  readonly #route: CallRoute;
  readonly #request: OutgoingRequest;
  /** The application's options are read once, when the call is made: they may be anything. */
  readonly waitForReady: boolean;
  readonly #authority: string | undefined;
  readonly #receiver: CallReceiver;
  readonly #scanner: MessageScanner;
  /** What the attempt that runs was given. */
  #picked: PickedConnection | undefined;
  #stream: Stream | undefined;
  /** What has been sent, while it may have to be sent again. */
  readonly #sent: SentData;
  readonly #holder: Holder;
  #credentials: Metadata | undefined;
  readonly #deadline: number | undefined;
  #endWatch: EndWatch | undefined;
  #watch: AttemptWatch | undefined;
  /** A backend has refused a stream of it. */
  #wasRefused = false;
  /** The response's HTTP status is an error, and its trailers may say more. Its messages are nobody's. */
  #httpError: StatusError | undefined;
  /** `sendData` has returned false, and `onDrain` has not been called since. */
  #holdsBack = false;
  /** The channel counts it among those that run. */
  #isCounted = false;
  #done = false;

  /** @param holder whom what is held for it is charged to */
  constructor(route: CallRoute, request: OutgoingRequest, receiver: CallReceiver, holder: Holder) {
    const { options, retries } = request;
    this.#holder = holder;
    this.client = route.channel.shareOf(holder.account);
    this.#sent = new SentData(holder, retries === undefined ? 'for a moment' : 'until dropped');
    this.#route = route;
    this.#request = request;
    this.waitForReady = options.waitForReady === true;
    this.#authority = authorityOf(request, route);
    this.#receiver = receiver;
    this.#scanner = new MessageScanner(options.maxReceiveMessageBytes);
    this.#deadline = deadlineOf(request);
  }

  /** Complete messages of the response so far. */
  get messagesReceived(): number {
    return this.#scanner.messages;
  }

  /** Lets somebody look on at its attempts: before it starts. */
  watchAttempts(watcher: DestinationWatcher, call: Scoped): void {
    this.#watch = new AttemptWatch(watcher, call);
  }

  /** Opens the stream. */
  start(): void {
    const { context, inheritsEnd } = this.#request;
    if (!inheritsEnd || this.#deadline !== context.deadline) this.#watchEnd();
    if (!this.#done) this.#begin();
  }

  /** Sends DATA; false: hold back until `onDrain`. */
  sendData(chunk: Buffer, endStream: boolean): boolean {
    if (this.#done) return true;
    this.#sent.add(chunk, endStream);
    this.#watch?.onRequestData(chunk);
    // Without a stream, the next attempt is waited for.
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
  cancel(reason = LEFT): void {
    if (!this.#done) this.#watch?.end(reason, this.messagesReceived);
    // Here and below: who looks on is the application's, and may have ended the call meanwhile.
    if (!this.#done) this.#leave(LEFT);
  }

  open(): void {
    this.#watch?.begin();
    if (this.#done) return;
    const picked = this.#route.channel.pick(this.client);
    if (picked !== undefined) {
      this.onConnection(picked);
      return;
    }
    const failure = this.#route.channel.wait(this);
    if (failure !== undefined) this.#failAttempt(failure);
  }

  onConnection(picked: PickedConnection): void {
    const headers = this.#requestHeaders(picked.authority);
    if (headers === undefined || this.#done) return;
    this.#picked = picked;
    this.#watch?.onStream();
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
    // The failure of another call that waited, told before, may have ended it.
    if (this.#done) return;
    this.#watch?.begin();
    this.#failAttempt(failure);
  }

  onHeaders(received: HeaderList, endStream: boolean): void {
    const headers = withoutContentLength(received);
    if (endStream) {
      this.#onTrailers(headers);
      return;
    }
    const error = notGrpc(this.#route.target, headers);
    if (error !== undefined && !hasGrpcContentType(headers)) {
      this.#failAttempt({ error, reason: 'backend_protocol' });
      return;
    }
    // "An RPC becomes committed in two scenarios: 1. The client receives Response-Headers" (gRFC A6); the other is that
    // more has been sent than is kept.
    this.#sent.drop();
    if (error === undefined) this.#receiver.onHeaders(headers);
    else this.#httpError = error;
  }

  onData(chunk: Buffer): void {
    if (this.#httpError !== undefined) return;
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      this.#failFraming(error as StatusError);
      return;
    }
    this.#watch?.onResponseData(chunk);
    this.#receiver.onData(chunk);
  }

  onEnd(): void {
    // "Response → (Response-Headers *Length-Prefixed-Message Trailers) / Trailers-Only" (PROTOCOL-HTTP2).
    const text = `${this.#route.target} ended the response without trailers`;
    const error = this.#httpError ?? StatusError.withoutStack(Code.INTERNAL, text);
    this.#failAttempt({ error, reason: 'backend_protocol' });
  }

  onReset(reset: StreamReset): void {
    const failure: Failure =
      this.#httpError === undefined
        ? streamFailure(this.#route.target, reset)
        : { error: this.#httpError, reason: 'backend_protocol' };
    if (this.#isUnseen(reset)) this.#repeat(failure);
    else this.#failAttempt(failure);
  }

  onDrain(): void {
    if (!this.#holdsBack) return;
    this.#holdsBack = false;
    this.#receiver.onDrain();
  }

  #begin(): void {
    const failure = this.#route.channel.begin();
    if (failure !== undefined) {
      this.#finish(failure, undefined);
      return;
    }
    this.#isCounted = true;
    const { credentials } = this.#request;
    if (credentials === undefined) this.open();
    else void this.#openWithCredentials(credentials);
  }

  async #openWithCredentials(credentials: () => Metadata | Promise<Metadata>): Promise<void> {
    try {
      this.#credentials = await credentials();
    } catch (error) {
      this.#fail(StatusError.from(error), 'director');
      return;
    }
    if (!this.#done) this.open();
  }

  /**
   * Whether no application of the backend has seen an attempt, and it can be made again without being asked (gRFC A6,
   * "Transparent Retries"): "until a success occurs, or the RPC's deadline passes" where it "never leaves the client", and
   * once where it was refused.
   */
  #isUnseen({ code, isUnsent }: StreamReset): boolean {
    if (!this.#sent.complete) return false;
    if (isUnsent) return true;
    if (code !== ErrorCode.REFUSED_STREAM || this.#wasRefused) return false;
    this.#wasRefused = true;
    return true;
  }

  /** Waits for another connection; the channel sees to it that this is no loop. */
  #repeat(failure: Failure): void {
    const { connection } = this.#picked!;
    this.#watch?.end(failure, 0);
    if (this.#done) return;
    // The call has not failed: a backend that closes its connections in order would be an outlier else.
    this.#leaveAttempt(LEFT);
    this.#watch?.begin();
    if (this.#done) return;
    const refusal = this.#route.channel.waitRefused(this, connection);
    if (refusal !== undefined) this.#failAttempt(refusal);
  }

  /** The attempt has failed, and the call with it unless its policy gives it another. */
  #failAttempt(failure: Failure, trailers?: HeaderList): void {
    const { retries } = this.#request;
    if (retries === undefined || this.#done) {
      this.#finish(failure, trailers);
      return;
    }
    const isRepeatable = this.#sent.complete && this.#route.channel.state.name !== 'SHUTDOWN';
    const wait = retries.next(failure, trailers, isRepeatable);
    if (wait === undefined) {
      this.#finish(failure, trailers);
      return;
    }
    this.#leaveAttempt(failure);
    if (!this.#done) this.#route.channel.backOff(this, wait);
  }

  /** There will be another attempt: what comes meanwhile is kept for it. */
  #leaveAttempt(failure: Failure): void {
    this.#endAttempt(failure);
    if (this.#stream === undefined || this.#done) return;
    this.#sent.keep();
    this.#stream.reset(ErrorCode.CANCEL);
    this.#stream = undefined;
  }

  #endAttempt(failure: Failure | undefined): void {
    this.#watch?.end(failure, this.messagesReceived);
    this.#picked?.onCallEnded(failure);
    this.#picked = undefined;
  }

  /** Undefined if the context or the credentials, which are the application's, are nonsense; then the call is over. */
  #requestHeaders(byDefault: string | undefined): HeaderList | undefined {
    if (this.#deadline !== undefined && this.#deadline <= now()) {
      // The backend would only hear of a call that is cancelled at once.
      this.#onDeadline();
      return undefined;
    }
    const { context, retries } = this.#request;
    const line = {
      scheme: this.#route.scheme,
      authority: this.#authority ?? byDefault,
      deadline: this.#deadline,
      previousAttempts: retries?.previousAttempts,
    };
    try {
      return requestHeaders(context, line, this.#credentials, this.#watch?.requestMetadata(context));
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
      { signals: this.#request.context.ownSignals, deadline: this.#deadline },
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
      this.#failAttempt({ error: told, reason: 'backend_status' }, trailers);
      return;
    }
    const error = this.#httpError ?? (hasStatus ? undefined : missingStatus(this.#route.target, trailers));
    if (error !== undefined) {
      this.#failAttempt({ error, reason: 'backend_protocol' }, trailers);
      return;
    }
    try {
      this.#scanner.end();
    } catch (truncated) {
      this.#failAttempt({ error: truncated as StatusError, reason: 'backend_protocol' }, trailers);
      return;
    }
    this.#request.retries?.onSuccess();
    this.#finish(undefined, trailers);
  }

  #failFraming(error: StatusError): void {
    this.#fail(error, error.code === Code.RESOURCE_EXHAUSTED ? 'limit' : 'backend_protocol');
  }

  /** Ends the call, whatever its policy says. */
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
    if (this.#isCounted) this.#route.channel.end();
    this.#sent.drop();
    this.#endWatch?.stop();
    // Without effect on a stream that has ended on both sides; else the backend must know that nobody listens.
    if (this.#stream !== undefined) this.#stream.reset(ErrorCode.CANCEL);
    else this.#route.channel.stopWaiting(this);
  }
}

/** What an attempt ends with that is wanted no more, or that the backend has not seen: it says nothing of the backend. */
const LEFT: Failure = {
  error: StatusError.withoutStack(Code.CANCELLED, 'the attempt is wanted no more'),
  reason: 'client_cancelled',
};
