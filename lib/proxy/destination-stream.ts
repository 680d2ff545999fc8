import { tellOnlooker, whenSettled } from '../call/hooks.js';
import type { DestinationWatcher } from '../call/observer.js';
import type { DestinationOutcome, Failure } from '../call/outcome.js';
import type { CallOptions } from '../client/call-options.js';
import type { CallReceiver } from '../client/call-receiver.js';
import { ClientCall } from '../client/client-call.js';
import { type ClientConn, toClientConn } from '../client/client-conn.js';
import { Retries } from '../client/retries.js';
import { StatusError } from '../grpc/status.js';
import type { HeaderList } from '../port/headers.js';
import type { ServerCall } from '../server/server-call.js';
import type { Destination, ErrorVerdict } from './director.js';
import type { FirstMessageReplacement } from './first-message.js';
import { checkDestination, contextOf, observationOf, replacementOf, requestOf } from './given-destination.js';
import { LaggingRequest } from './lagging-request.js';
import type { MemberBytes } from './member-bytes.js';
import type { Observation } from './observation.js';
import type { Role } from './role.js';

const NOTHING = Buffer.alloc(0);

/** Who is told what a {@link DestinationStream} meets with. */
export interface DestinationOwner {
  /** It takes data. */
  onOpen(destination: DestinationStream): void;
  /** It could not be opened. {@link DestinationOwner.onVerdict} follows, unless it answers. */
  onOpenFailed(destination: DestinationStream, failure: Failure): void;
  /** The response headers of the one that answers. */
  onResponseHeaders(headers: HeaderList): void;
  /** The DATA of the one that answers. */
  onResponseData(chunk: Buffer): void;
  onDestinationDrain(destination: DestinationStream): void;
  /** It has ended: it holds nobody back any more. */
  onEnded(destination: DestinationStream): void;
  /** What its end means, once its error handler has said so; a failure of undefined is OK. */
  onVerdict(
    destination: DestinationStream,
    failure: Failure | undefined,
    trailers: HeaderList | undefined,
  ): void;
}

/** A call's stream to one of its destinations. */
export class DestinationStream implements CallReceiver {
  readonly role: Role;
  /** It has no room now: the client is held back. For the fan-out. */
  full = false;
  /** It takes and gives no more. */
  ended = false;
  readonly #owner: DestinationOwner;
  readonly #stream: ServerCall;
  readonly #errHandler: Destination['errHandler'];
  readonly #conn: ClientConn;
  readonly #call: ClientCall;
  readonly #replacement: FirstMessageReplacement | undefined;
  readonly #observation: Observation | undefined;
  readonly #watcher: DestinationWatcher | undefined;
  /** Where the request waits for one that may be left behind. */
  readonly #lagging: LaggingRequest | undefined;
  #failure: Failure | undefined;

  /** @param bytes what is held for it, if it may be left behind; else that is its call's */
  constructor(
    owner: DestinationOwner,
    stream: ServerCall,
    destination: Destination,
    callOptions: CallOptions,
    role: Role,
    bytes?: MemberBytes,
  ) {
    this.#owner = owner;
    this.#stream = stream;
    this.role = role;
    checkDestination(destination);
    // Each property is read once, here: it is the application's, and may be anything.
    const { conn, ctx, msg, observer, errHandler } = destination;
    this.#errHandler = errHandler;
    this.#conn = toClientConn(conn);
    this.#replacement = replacementOf(msg, callOptions);
    if (errHandler !== undefined) stream.captureScope();
    const retries = role.answers ? Retries.by(callOptions.retry, this.#conn.retryThrottle) : undefined;
    const request = requestOf(contextOf(ctx, stream), callOptions, stream, retries);
    this.#call = new ClientCall(this.#conn, request, this, bytes ?? stream);
    if (bytes !== undefined) this.#lagging = new LaggingRequest(this.#call, bytes);
    // Last: a stream that cannot be made never comes to the end that its watchers wait for.
    this.#observation = observationOf(observer, callOptions, stream, this.#conn.target, role.name);
    this.#watcher = stream.observation?.watcherOf({ role: role.name, target: this.#conn.target });
    if (this.#watcher !== undefined) this.#call.watchAttempts(this.#watcher, stream);
  }

  /** How it ended. */
  get outcome(): DestinationOutcome {
    const outcome: DestinationOutcome = {
      role: this.role.name,
      target: this.target,
      attempts: this.#call.attempts,
      failure: this.#failure,
    };
    return this.ended ? outcome : { ...outcome, isRunning: true };
  }

  get target(): string {
    return this.#conn.target;
  }

  /** Of one that may be left behind: its stream is open. */
  get isOpen(): boolean {
    return this.#lagging?.isOpen === true;
  }

  /** Of one that may be left behind: its stream is open, and has room. */
  get flows(): boolean {
    return this.#lagging?.flows === true;
  }

  /** Complete messages of the response so far. */
  get messagesReceived(): number {
    return this.#call.messagesReceived;
  }

  start(): void {
    this.#call.start();
  }

  /** Sends what comes before the client's first byte. */
  begin(): boolean {
    return this.#replacement === undefined || this.#send(this.#replacement.message);
  }

  /** Sends a chunk of the request; false: no room for more until it has drained. */
  send(chunk: Buffer): boolean {
    const rest = this.#replacement === undefined ? chunk : this.#replacement.rest(chunk);
    return rest === undefined || this.#send(rest);
  }

  /** Half-closes. */
  end(): void {
    if (this.#lagging === undefined) this.#call.sendData(NOTHING, true);
    else this.#lagging.end();
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  /** Ends the stream with RST_STREAM(CANCEL) if it has not ended; nothing more is heard of it. */
  cancel(reason: Failure): void {
    if (this.ended) return;
    this.ended = true;
    this.#failure = reason;
    this.#call.cancel(reason);
    this.#lagging?.drop();
    this.#observation?.status(reason, undefined);
    this.#tellWatcher();
  }

  /** Ends the stream with RST_STREAM(CANCEL) if it has not ended, for what counts as its own failure. */
  giveUp(failure: Failure): void {
    if (this.ended) return;
    this.#call.cancel(failure);
    this.onFinish(failure, undefined);
  }

  /** Lets go of what is held for a retry, unless one is under way. */
  forgetSent(): void {
    this.#call.forgetSent();
  }

  /** The call has ended, and sees to no deadline any more. */
  watchEnd(): void {
    this.#call.watchEnd();
  }

  /** Tells the error handler of a failure that is not its to decide about. */
  async tell(error: StatusError): Promise<void> {
    const errHandler = this.#errHandler;
    if (errHandler !== undefined) await this.#stream.inScope(() => errHandler(error));
  }

  onOpen(): void {
    this.#lagging?.flow();
    this.#owner.onOpen(this);
  }

  onOpenFailed(failure: Failure): void {
    // A watcher that was told of it has ended the call.
    if (this.ended) return;
    this.#end(failure, undefined);
    this.#owner.onOpenFailed(this, failure);
    if (this.role.answers) return;
    const { error, reason } = failure;
    const told = StatusError.withoutStack(error.code, `initiate ${this.role.name} stream: ${error.message}`);
    told.cause = error.cause;
    this.#decide({ error: told, reason }, undefined);
  }

  onHeaders(headers: HeaderList): void {
    this.#observation?.headers(headers);
    if (this.role.answers) this.#owner.onResponseHeaders(headers);
  }

  onData(chunk: Buffer): void {
    this.#observation?.data(chunk);
    if (this.role.answers) this.#owner.onResponseData(chunk);
  }

  onDrain(): void {
    this.#lagging?.flow();
    this.#owner.onDestinationDrain(this);
  }

  onFinish(failure: Failure | undefined, trailers: HeaderList | undefined): void {
    if (this.ended) return;
    this.#end(failure, trailers);
    if (failure === undefined) this.#owner.onVerdict(this, undefined, trailers);
    else this.#decide(failure, trailers);
  }

  #send(chunk: Buffer): boolean {
    return this.#lagging === undefined ? this.#call.sendData(chunk, false) : this.#lagging.send(chunk);
  }

  #end(failure: Failure | undefined, trailers: HeaderList | undefined): void {
    this.ended = true;
    this.#failure = failure;
    this.#lagging?.drop();
    this.#observation?.status(failure, trailers);
    this.#tellWatcher();
    this.#owner.onEnded(this);
  }

  #tellWatcher(): void {
    const watcher = this.#watcher;
    if (watcher === undefined) return;
    tellOnlooker(() => this.#stream.inScope(() => watcher.onEnd?.(this.#failure)));
  }

  /** Lets the error handler say what a failure means. */
  #decide(failure: Failure, trailers: HeaderList | undefined): void {
    const errHandler = this.#errHandler;
    if (errHandler === undefined) {
      this.#owner.onVerdict(this, failure, trailers);
      return;
    }
    let verdict: ErrorVerdict | Promise<ErrorVerdict>;
    try {
      verdict = this.#stream.inScope(() => errHandler(failure.error));
    } catch (thrown) {
      this.#onVerdict(StatusError.from(thrown), failure, trailers);
      return;
    }
    if (verdict === undefined || verdict === null || verdict === failure.error) {
      this.#onVerdict(verdict, failure, trailers);
      return;
    }
    // Another error; a promise, or something like one; or what is no verdict, and fails the call.
    void whenSettled(
      verdict,
      (answer) => this.#onVerdict(answer, failure, trailers),
      (thrown) => this.#onVerdict(StatusError.from(thrown), failure, trailers),
    );
  }

  #onVerdict(verdict: ErrorVerdict, failure: Failure, trailers: HeaderList | undefined): void {
    if (verdict === null) this.#owner.onVerdict(this, undefined, undefined);
    else if (verdict === undefined || verdict === failure.error) {
      this.#owner.onVerdict(this, failure, trailers);
    } else {
      this.#owner.onVerdict(this, { error: StatusError.from(verdict), reason: failure.reason }, undefined);
    }
  }
}
