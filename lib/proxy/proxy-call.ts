import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import { warn, whenSettled } from '../call/hooks.js';
import type { DestinationOutcome, Failure, ShadowState } from '../call/outcome.js';
import type { CallOptions } from '../client/call-options.js';
import { MessageScanner } from '../grpc/scanner.js';
import { Code, StatusError } from '../grpc/status.js';
import { trailersOf } from '../grpc/trailers.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { RequestConsumer } from '../server/request-consumer.js';
import type { ServerCall } from '../server/server-call.js';
import type { PROXY_DEFAULTS } from './defaults.js';
import { type DestinationOwner, DestinationStream } from './destination-stream.js';
import type { Destination, StreamDirector, StreamParameters } from './director.js';
import { callEnded, failureOfSecondary, reasonOfRequest } from './failures.js';
import { RequestFanout } from './fanout.js';
import { finalizeLate, runFinalizer } from './finalizer.js';
import { Peeker } from './peeker.js';
import { decisiveFailure } from './precedence.js';
import { PRIMARY, type Role, SECONDARY } from './role.js';
import { Shadows } from './shadows.js';

/** Where a call is. */
type Phase =
  /** The director thinks; it may peek. */
  | { readonly name: 'directing' }
  /** Streams are being opened, this many still. */
  | { readonly name: 'opening'; remaining: number }
  /** The request is poured into the destinations, and the primary's response to the client. */
  | { readonly name: 'pouring'; readonly fanout: RequestFanout }
  /** The outcome is known. */
  | { readonly name: 'settled' };

const DIRECTING: Phase = { name: 'directing' };
const SETTLED: Phase = { name: 'settled' };

/** One call on its way: asks the director, opens the destinations, pours, and decides how the call ends. */
export class ProxyCall implements RequestConsumer, DestinationOwner {
  readonly #call: ServerCall;
  readonly #peeker: Peeker;
  readonly #limits: typeof PROXY_DEFAULTS;
  #directorTimer: NodeJS.Timeout | undefined;
  #directorError: StatusError | undefined;
  readonly #onSettled: ((error: StatusError | undefined) => void) | undefined;
  #phase: Phase = DIRECTING;
  /** Of the request; made when the director has answered. */
  #scanner: MessageScanner | undefined;
  #finalizer: StreamParameters['requestFinalizer'];
  readonly #streams: DestinationStream[] = [];
  #primary: DestinationStream | undefined;
  #shadows: Shadows | undefined;
  /** How many destinations hold the status. */
  #running = 0;
  #clientFailure: Failure | undefined;
  #primaryFailure: Failure | undefined;
  #secondaryFailure: Failure | undefined;

  /**
   * @param onSettled called with the outcome, once
   * @throws StatusError if somebody has read from the call or answered it
   */
  constructor(
    call: ServerCall,
    limits: typeof PROXY_DEFAULTS,
    onSettled?: (error: StatusError | undefined) => void,
  ) {
    call.giveTo(this);
    this.#call = call;
    this.#onSettled = onSettled;
    this.#limits = limits;
    this.#peeker = new Peeker(call, call.context.headers, limits);
    // While an interceptor was thinking, say.
    if (call.cancellation !== undefined) this.onCancel(call.cancellation);
  }

  get messagesReceived(): number {
    return this.#scanner?.messages ?? 0;
  }

  get messagesSent(): number {
    return this.#primary?.messagesReceived ?? 0;
  }

  get destinations(): readonly DestinationOutcome[] {
    return this.#streams.map(({ outcome }) => outcome);
  }

  get shadows(): readonly ShadowState[] {
    return this.#shadows?.states ?? [];
  }

  /** Asks the director, and goes where it says. */
  direct(director: StreamDirector): void {
    if (this.#clientFailure !== undefined) {
      this.#refuse(this.#clientFailure);
      return;
    }
    const { context } = this.#call;
    let answer: StreamParameters | Promise<StreamParameters>;
    let isAnswer: boolean;
    try {
      answer = director(context, context.method, this.#peeker);
      isAnswer = isParameters(answer);
    } catch (error) {
      this.#refuseFor(error);
      return;
    }
    if (isAnswer) {
      this.open(answer as StreamParameters);
    } else {
      // A promise, or something like one; or nonsense.
      this.#limitDirector();
      void whenSettled(
        answer,
        (parameters) => this.open(parameters),
        (error) => this.#refuseFor(error),
      );
    }
  }

  #limitDirector(): void {
    const time = this.#limits.directorTimeoutMilliseconds;
    if (time > MAX_TIMER_MILLISECONDS) return;
    this.#directorTimer = setTimeout(() => {
      const message = `the director has not answered within ${time} ms`;
      const error = StatusError.withoutStack(Code.DEADLINE_EXCEEDED, message);
      this.#directorError = error;
      this.#refuse({ error, reason: 'director' });
    }, time);
  }

  /** Opens the streams to all destinations. */
  open(parameters: StreamParameters): void {
    if (this.#directorTimer !== undefined) clearTimeout(this.#directorTimer);
    if (this.#isSettled) {
      finalizeLate(parameters, this.#call, this.#directorError);
      return;
    }
    try {
      if (!isParameters(parameters)) throw new TypeError('the director named no primary destination');
      this.#finalizer = parameters.requestFinalizer;
      if (this.#clientFailure === undefined) {
        this.#createStreams(parameters);
        this.#startStreams();
        return;
      }
    } catch (error) {
      this.#primaryFailure = { error: StatusError.from(error), reason: 'director' };
    }
    this.#settle();
  }

  onOpen(): void {
    this.#onOneOpen();
  }

  onOpenFailed(failed: DestinationStream, failure: Failure): void {
    if (!failed.role.answers) {
      this.#onOneOpen();
      return;
    }
    const { error } = failure;
    const told = StatusError.withoutStack(error.code, `initiate primary stream: ${error.message}`);
    // They are all told, and what they answer is ignored; an error of their own must not be lost.
    for (const stream of this.#streams) stream.tell(told).catch(warn);
    this.#shadows?.tell(told);
    this.#primaryFailure = failure;
    this.#settle();
  }

  onResponseHeaders(headers: HeaderList): void {
    if (!this.#isSettled) this.#call.sendHeaderList(headers);
  }

  onResponseData(chunk: Buffer): void {
    if (this.#isSettled) return;
    if (!this.#call.sendData(chunk)) this.#primary?.pause();
  }

  onDestinationDrain(stream: DestinationStream): void {
    this.#onRoom(stream);
  }

  onEnded(stream: DestinationStream): void {
    this.#onRoom(stream);
  }

  onVerdict(stream: DestinationStream, failure: Failure | undefined, trailers: HeaderList | undefined): void {
    if (this.#isSettled) return;
    if (stream.role.holdsStatus) this.#running--;
    if (stream.role.answers) {
      if (trailers !== undefined) this.#keepTrailers(trailers, failure);
      this.#primaryFailure = failure;
      if (failure !== undefined) {
        this.#settle();
        return;
      }
    } else if (failure !== undefined) {
      this.#secondaryFailure ??= failureOfSecondary(failure.error);
    }
    if (this.#running === 0) this.#settle();
  }

  onData(chunk: Buffer): void {
    switch (this.#phase.name) {
      case 'pouring':
        this.#push(this.#phase.fanout, chunk);
        break;
      case 'directing':
      case 'opening':
        this.#peeker.push(chunk);
    }
  }

  onEnd(): void {
    switch (this.#phase.name) {
      case 'pouring':
        this.#end(this.#phase.fanout);
        break;
      case 'directing':
      case 'opening':
        this.#peeker.end();
    }
  }

  /** The client has room again. */
  onDrain(): void {
    this.#primary?.resume();
  }

  onFinished(): void {
    if (this.#directorTimer !== undefined) clearTimeout(this.#directorTimer);
    this.#peeker.drop();
  }

  onCancel(failure: Failure): void {
    if (this.#isSettled) return;
    this.#clientFailure ??= failure;
    this.#peeker.fail(failure.error);
    // While the director thinks there is nobody to cancel; the call ends when it answers.
    if (this.#phase.name !== 'directing') this.#settle();
  }

  get #isSettled(): boolean {
    return this.#phase.name === 'settled';
  }

  #refuseFor(thrown: unknown): void {
    clearTimeout(this.#directorTimer);
    if (this.#isSettled) return;
    const error = StatusError.from(thrown);
    const reason = error === this.#peeker.failure ? reasonOfRequest(error) : 'director';
    this.#refuse(this.#clientFailure ?? { error, reason });
  }

  /** No destination is contacted. */
  #refuse(failure: Failure): void {
    this.#phase = SETTLED;
    this.#peeker.take();
    this.#tell(failure);
  }

  #createStreams(parameters: StreamParameters): void {
    const { primary, secondaries = [], callOptions = {} } = parameters;
    if (this.#finalizer !== undefined) this.#call.captureScope();
    this.#scanner = new MessageScanner(callOptions.maxSendMessageBytes);
    this.#primary = this.#createStream(primary, callOptions, PRIMARY);
    for (const secondary of secondaries) this.#createStream(secondary, callOptions, SECONDARY);
    this.#shadows = Shadows.of(this.#call, parameters, callOptions, this.#limits.maxShadowBytes);
    const starting = this.#shadows === undefined ? 0 : 1;
    this.#phase = { name: 'opening', remaining: this.#streams.length + starting };
  }

  /** Counted at once: if the next one cannot be made, those that were are cancelled, and told so. */
  #createStream(destination: Destination, callOptions: CallOptions, role: Role): DestinationStream {
    const stream = new DestinationStream(this, this.#call, destination, callOptions, role);
    this.#streams.push(stream);
    if (role.holdsStatus) this.#running++;
    return stream;
  }

  #startStreams(): void {
    for (const stream of this.#streams) {
      stream.start();
      if (this.#isSettled) return;
    }
    if (this.#shadows === undefined) return;
    // Behind the others, which they must not delay; but before any of them is poured into.
    this.#shadows.start();
    this.#onOneOpen();
  }

  /** A stream is open, or has failed: once all are, the request is poured. */
  #onOneOpen(): void {
    if (this.#phase.name === 'opening' && --this.#phase.remaining === 0) this.#pour();
  }

  /** Sends what has been peeked at, and lets the client go on. */
  #pour(): void {
    const fanout = new RequestFanout(this.#call, this.#streams);
    this.#phase = { name: 'pouring', fanout };
    fanout.begin();
    this.#shadows?.begin();
    const held = this.#peeker.take();
    if (held !== undefined) this.#push(fanout, held);
    if (this.#isSettled) return;
    if (this.#call.inputEnded) this.#end(fanout);
    else if (!fanout.full) this.#call.resume();
  }

  #push(fanout: RequestFanout, chunk: Buffer): void {
    try {
      this.#scanner?.push(chunk);
    } catch (error) {
      this.#failRequest(error as StatusError);
      return;
    }
    fanout.push(chunk);
    if (this.#shadows === undefined) return;
    this.#shadows.push(chunk);
    if (!fanout.full) this.#shadows.judgeLag();
  }

  /** A destination has room again, or takes no more. */
  #onRoom(stream: DestinationStream): void {
    if (this.#phase.name !== 'pouring') return;
    const { fanout } = this.#phase;
    fanout.drained(stream);
    if (this.#shadows !== undefined && !fanout.full) this.#shadows.judgeLag();
  }

  #end(fanout: RequestFanout): void {
    try {
      this.#scanner?.end();
    } catch (error) {
      // Half a message must not look like a whole request to the destinations.
      this.#failRequest(error as StatusError);
      return;
    }
    fanout.end();
    this.#shadows?.finishRequest();
  }

  /** The request is no sequence of messages, or one is too long. */
  #failRequest(error: StatusError): void {
    this.#call.isSpoilt = true;
    this.onCancel({ error, reason: reasonOfRequest(error) });
  }

  /** Keeps what the primary ended with, to send it on as it is. */
  #keepTrailers(trailers: HeaderList, failure: Failure | undefined): void {
    const contentType = headerValue(trailers, 'content-type');
    // Only a Trailers-Only response has one there.
    if (contentType !== undefined) this.#call.responseContentType = contentType;
    if (failure === undefined) {
      this.#call.setTrailerList(trailers[0]?.startsWith(':') ? trailersOf(trailers) : trailers);
    }
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#phase = SETTLED;
    const failures = {
      client: this.#clientFailure,
      primary: this.#primaryFailure,
      secondary: this.#secondaryFailure,
      finalizer: undefined,
    };
    const failure = decisiveFailure(failures);
    if (this.#running > 0) {
      const reason = failure ?? callEnded();
      for (const stream of this.#streams) stream.cancel(reason);
    }
    this.#shadows?.leave(failure ?? callEnded());
    if (this.#finalizer === undefined) {
      this.#tell(failure);
      return;
    }
    runFinalizer(this.#finalizer, this.#call, failure?.error, (finalizer) =>
      this.#tell(decisiveFailure({ ...failures, finalizer })),
    );
  }

  #tell(failure: Failure | undefined): void {
    this.#call.settle(failure);
    this.#onSettled?.(failure?.error);
  }
}

/** Whether a director's answer is one, as far as the types' word is worth: it is the application's. */
function isParameters(answer: StreamParameters | Promise<StreamParameters>): answer is StreamParameters {
  return (answer as Partial<StreamParameters> | null | undefined)?.primary !== undefined;
}
