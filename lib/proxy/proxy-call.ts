import { warn } from '../call/hooks.js';
import type { RunningCallState } from '../call/observer.js';
import type { DestinationOutcome, Failure, ShadowState } from '../call/outcome.js';
import { type CallOptions, checkedCallOptions } from '../client/call-options.js';
import { MessageScanner } from '../grpc/scanner.js';
import { StatusError } from '../grpc/status.js';
import type { HeaderList } from '../port/headers.js';
import { Peeker } from '../server/peeker.js';
import type { RequestConsumer } from '../server/request-consumer.js';
import type { ServerCall } from '../server/server-call.js';
import { askDirector } from './ask-director.js';
import type { PROXY_DEFAULTS } from './defaults.js';
import { type DestinationOwner, DestinationStream } from './destination-stream.js';
import {
  type Destination,
  isParameters,
  isQuorum,
  noPrimary,
  type Secondaries,
  type StreamDirector,
  type StreamParameters,
} from './director.js';
import type { DirectorTimer } from './director-timer.js';
import { callEnded, failureOfSecondary, reasonOfDirector, reasonOfRequest } from './failures.js';
import { RequestFanout } from './fanout.js';
import { finalizeLate, runFinalizer } from './finalizer.js';
import { takeHooks } from './given-hooks.js';
import type { MemberBytes } from './member-bytes.js';
import { DIRECTING, type Phase, SETTLED, STATES } from './phase.js';
import { decisiveFailure } from './precedence.js';
import { keepTrailers } from './primary-trailers.js';
import { Quorum } from './quorum.js';
import { Refusal } from './refusal.js';
import type { RequestObservation } from './request-observation.js';
import { MEMBER, PRIMARY, type Role, SECONDARY } from './role.js';
import { Shadows } from './shadows.js';

/** One call on its way: asks the director, opens the destinations, pours, and decides how the call ends. */
export class ProxyCall implements RequestConsumer, DestinationOwner {
  readonly #call: ServerCall;
  readonly #peeker: Peeker;
  readonly #limits: typeof PROXY_DEFAULTS;
  #directorTimer: DirectorTimer | undefined;
  readonly #onSettled: ((error: StatusError | undefined) => void) | undefined;
  /** The name of the way that the call takes. */
  route: string | undefined;
  #phase: Phase = DIRECTING;
  /** Of the request; made when the director has answered. */
  #scanner: MessageScanner | undefined;
  #observation: RequestObservation | undefined;
  #finalizer: StreamParameters['requestFinalizer'];
  readonly #streams: DestinationStream[] = [];
  #primary: DestinationStream | undefined;
  #quorum: Quorum | undefined;
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
    const peeked = call.giveTo(this);
    this.#call = call;
    this.#onSettled = onSettled;
    this.#limits = limits;
    this.#peeker = new Peeker(call, call.context.headers, limits);
    if (peeked !== undefined) this.#peeker.push(peeked);
    // While an interceptor was thinking, say.
    if (call.cancellation !== undefined) this.onCancel(call.cancellation);
  }

  get state(): RunningCallState {
    return STATES[this.#phase.name];
  }

  get messagesReceived(): number {
    // Of a request that went nowhere what was held counts.
    return Math.max(this.#scanner?.messages ?? 0, this.#peeker.messages);
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
      this.refuse(this.#clientFailure);
      return;
    }
    const { directorTimeoutMilliseconds } = this.#limits;
    this.#directorTimer = askDirector(director, this.#call, this.#peeker, directorTimeoutMilliseconds, this);
  }

  /** Opens the streams to all destinations. */
  open(parameters: StreamParameters): void {
    this.#directorTimer?.stop();
    if (this.#isSettled) {
      finalizeLate(parameters, this.#directorTimer?.error);
      return;
    }
    try {
      if (!isParameters(parameters)) throw noPrimary(parameters);
      this.#finalizer = parameters.requestFinalizer;
      this.route = parameters.route;
      if (this.#clientFailure === undefined) this.#createStreams(parameters);
      // A watcher that was told of a destination may have ended the call.
      if (this.#clientFailure === undefined) {
        this.#startStreams();
        return;
      }
    } catch (error) {
      this.#primaryFailure = { error: StatusError.from(error), reason: 'director' };
    }
    this.#settle();
  }

  /** The director has thrown this. */
  refuseFor(thrown: unknown): void {
    this.#directorTimer?.stop();
    if (this.#isSettled) return;
    const error = StatusError.from(thrown);
    if (error instanceof Refusal) this.route = error.route;
    this.refuse(
      this.#clientFailure ?? { error, reason: reasonOfDirector(error, this.#peeker.hasFailedWith(error)) },
    );
  }

  /** No destination is contacted. */
  refuse(failure: Failure): void {
    this.#phase = SETTLED;
    this.#peeker.refuse();
    this.#tell(failure);
  }

  onOpen(stream: DestinationStream): void {
    this.#onOneOpen(stream);
  }

  onOpenFailed(failed: DestinationStream, failure: Failure): void {
    if (!failed.role.answers) {
      this.#onOneOpen(failed);
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
    if (this.#isSettled) return;
    this.#call.sendHeaderList(headers);
    if (this.#phase.name === 'pouring') this.#phase.fanout.onAnswered();
  }

  onResponseData(chunk: Buffer): void {
    if (this.#isSettled) return;
    if (!this.#call.sendData(chunk)) this.#primary?.pause();
  }

  onDestinationDrain(stream: DestinationStream): void {
    this.#onRoom(stream);
  }

  onEnded(stream: DestinationStream): void {
    if (this.#isSettled) this.#quorum?.onEnded(stream);
    else this.#onRoom(stream);
  }

  onVerdict(stream: DestinationStream, failure: Failure | undefined, trailers: HeaderList | undefined): void {
    if (this.#isSettled) return;
    if (stream.role.holdsStatus) this.#running--;
    if (stream.role.answers) {
      if (trailers !== undefined) keepTrailers(this.#call, trailers, failure);
      this.#primaryFailure = failure;
      if (failure !== undefined) {
        this.#settle();
        return;
      }
      this.#quorum?.onPrimaryEnded();
    } else if (stream.role === MEMBER) {
      this.#quorum?.onVerdict(stream, failure);
      this.#onOneOpen(stream);
      this.#onRoom(stream);
    } else if (failure !== undefined) {
      this.#secondaryFailure ??= failureOfSecondary(failure.error);
    }
    if (this.#running === 0 || this.#quorum?.isDecided) this.#settle();
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
    this.#directorTimer?.stop();
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

  #createStreams(parameters: StreamParameters): void {
    const { primary, secondaries } = parameters;
    const callOptions = checkedCallOptions(parameters.callOptions);
    if (this.#finalizer !== undefined) this.#call.captureScope();
    this.#observation = takeHooks(this.#call, parameters);
    this.#scanner = new MessageScanner(callOptions.maxSendMessageBytes);
    this.#primary = this.#createStream(primary, callOptions, PRIMARY);
    if (secondaries !== undefined) this.#createSecondaries(secondaries, callOptions);
    this.#shadows = Shadows.of(this.#call, parameters, callOptions, this.#limits.maxShadowBytes);
    // Of a quorum the call waits for enough, and for shadows until they have been started.
    const remaining = this.#quorum === undefined ? this.#streams.length : 2;
    this.#phase = { name: 'opening', remaining: this.#shadows === undefined ? remaining : remaining + 1 };
  }

  #createSecondaries(secondaries: Secondaries, callOptions: CallOptions): void {
    if (isQuorum(secondaries)) {
      const create = (destination: Destination, bytes: MemberBytes): DestinationStream =>
        this.#createStream(destination, callOptions, MEMBER, bytes);
      this.#quorum = new Quorum(this.#call, secondaries, create, this.#limits.maxShadowBytes);
    } else {
      for (const secondary of secondaries) this.#createStream(secondary, callOptions, SECONDARY);
    }
  }

  /** Counted at once: if the next one cannot be made, those that were are cancelled, and told so. */
  #createStream(
    destination: Destination,
    callOptions: CallOptions,
    role: Role,
    bytes?: MemberBytes,
  ): DestinationStream {
    const stream = new DestinationStream(this, this.#call, destination, callOptions, role, bytes);
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
    this.#onOneLess();
  }

  /** A stream is open, or has failed. */
  #onOneOpen({ role }: DestinationStream): void {
    if (role !== MEMBER || this.#quorum?.takeBeginning()) this.#onOneLess();
  }

  /** Once there is nothing more to wait for, the request is poured. */
  #onOneLess(): void {
    if (this.#phase.name === 'opening' && --this.#phase.remaining === 0) this.#pour();
  }

  /** Sends what has been peeked at, and lets the client go on. */
  #pour(): void {
    const fanout = new RequestFanout(this.#call, this.#streams, this.#quorum, this.#shadows);
    this.#phase = { name: 'pouring', fanout };
    fanout.begin();
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
    this.#observation?.push(chunk);
  }

  #onRoom(stream: DestinationStream): void {
    if (this.#phase.name === 'pouring') this.#phase.fanout.drained(stream);
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
    this.#observation?.end(undefined);
  }

  /** The request is no sequence of messages, or one is too long. */
  #failRequest(error: StatusError): void {
    this.#call.isSpoilt = true;
    this.onCancel({ error, reason: reasonOfRequest(error) });
  }

  #settle(): void {
    if (this.#isSettled) return;
    const isComplete = this.#phase.name === 'pouring' && this.#phase.fanout.isComplete;
    this.#phase = SETTLED;
    const failures = {
      client: this.#clientFailure,
      primary: this.#primaryFailure,
      secondary: this.#secondaryFailure ?? this.#quorum?.failure,
      finalizer: undefined,
    };
    const failure = decisiveFailure(failures);
    if (this.#running > 0) {
      if (failure === undefined && isComplete) this.#quorum?.outlive();
      else for (const stream of this.#streams) stream.cancel(failure ?? callEnded());
    }
    this.#shadows?.leave(isComplete, failure ?? callEnded());
    this.#observation?.end(isComplete ? undefined : (failure ?? callEnded()).error);
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
