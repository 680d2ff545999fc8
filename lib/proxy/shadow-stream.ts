import { tellOnlooker } from '../call/hooks.js';
import type { DestinationWatcher } from '../call/observer.js';
import type { Failure, ShadowResult, ShadowState } from '../call/outcome.js';
import type { CallOptions } from '../client/call-options.js';
import type { CallReceiver } from '../client/call-receiver.js';
import { ClientCall } from '../client/client-call.js';
import { type ClientConn, toClientConn } from '../client/client-conn.js';
import type { StatusError } from '../grpc/status.js';
import type { HeaderList } from '../port/headers.js';
import type { ServerCall } from '../server/server-call.js';
import type { OutlivingStream } from './afterlife.js';
import type { Destination, ShadowDestination } from './director.js';
import { expired, lagged } from './failures.js';
import type { FirstMessageReplacement } from './first-message.js';
import { contextOf, observationOf, replacementOf, requestOf } from './given-destination.js';
import { LaggingRequest } from './lagging-request.js';
import type { Observation } from './observation.js';
import { ShadowBytes, shadowBytes } from './shadow-bytes.js';
import { resultOf, tellShadowEnd } from './shadow-end.js';
import { graceOf, maxLagOf } from './shadow-options.js';

/** Who is told of a {@link ShadowStream}'s end. */
export interface ShadowOwner {
  onShadowEnded(shadow: ShadowStream): void;
}

interface ShadowEnd {
  readonly result: ShadowResult;
  /** Undefined if it is `ok`. */
  readonly failure: Failure | undefined;
}

/** A call's stream to one of its shadows: it holds nobody back, and may go on after the call. */
export class ShadowStream implements CallReceiver, OutlivingStream {
  readonly #owner: ShadowOwner;
  readonly #stream: ServerCall;
  readonly #conn: ClientConn;
  readonly #call: ClientCall;
  readonly #request: LaggingRequest;
  readonly #replacement: FirstMessageReplacement | undefined;
  readonly #observation: Observation | undefined;
  readonly #watcher: DestinationWatcher | undefined;
  readonly #errHandler: Destination['errHandler'];
  readonly #held: ShadowBytes;
  readonly #maxLagBytes: number;
  readonly #maxShadowBytes: number;
  readonly #graceMilliseconds: number;
  #graceTimer: NodeJS.Timeout | undefined;
  #end: ShadowEnd | undefined;

  /**
   * @param maxShadowBytes what may be held for all shadows of the process
   * @throws TypeError or RangeError for a destination that makes no sense
   */
  constructor(
    owner: ShadowOwner,
    stream: ServerCall,
    shadow: ShadowDestination,
    errHandler: Destination['errHandler'],
    callOptions: CallOptions,
    maxShadowBytes: number,
  ) {
    this.#owner = owner;
    this.#stream = stream;
    this.#errHandler = errHandler;
    this.#maxShadowBytes = maxShadowBytes;
    // Each property is read once, here: it is the application's, and may be anything.
    const { conn, ctx, msg, observer, maxLagBytes, graceMilliseconds } = shadow;
    this.#maxLagBytes = maxLagOf(maxLagBytes);
    this.#graceMilliseconds = graceOf(graceMilliseconds);
    this.#replacement = replacementOf(msg, callOptions);
    this.#conn = toClientConn(conn);
    this.#held = new ShadowBytes(stream.account);
    const request = requestOf(contextOf(ctx, stream), callOptions, stream, undefined);
    this.#call = new ClientCall(this.#conn, request, this, this.#held);
    this.#request = new LaggingRequest(this.#call, this.#held);
    // Last: a stream that cannot be made never comes to the end that its watchers wait for.
    this.#observation = observationOf(observer, callOptions, stream, this.#conn.target, 'shadow');
    this.#watcher = stream.observation?.watcherOf({ role: 'shadow', target: this.#conn.target });
    if (this.#watcher !== undefined) this.#call.watchAttempts(this.#watcher, stream);
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  get state(): ShadowState {
    return {
      role: 'shadow',
      target: this.#conn.target,
      attempts: this.#call.attempts,
      failure: this.#end?.failure,
      result: this.#end?.result ?? 'running',
    };
  }

  start(): void {
    this.#call.start();
  }

  /** Sends what comes before the client's first byte. */
  begin(): void {
    if (this.#replacement !== undefined) this.#send(this.#replacement.message);
  }

  /** Sends a chunk of the request, or keeps it until it can be sent. */
  send(chunk: Buffer): void {
    const rest = this.#replacement === undefined ? chunk : this.#replacement.rest(chunk);
    if (rest !== undefined) this.#send(rest);
  }

  /** Half-closes, behind all that it has not been sent yet. */
  finishRequest(): void {
    this.#request.end();
  }

  /** Everybody who holds the client back has taken what there was: drops it if it lags by too much. */
  judgeLag(): void {
    if (this.#held.bytes <= this.#maxLagBytes) return;
    // A copy for a retry is no lag.
    this.#call.forgetSent();
    if (this.#held.bytes > this.#maxLagBytes) {
      this.#drop(`${this.#held.bytes} bytes wait for it, where ${this.#maxLagBytes} may`);
    }
  }

  outlive(): void {
    const grace = this.#graceMilliseconds;
    this.#graceTimer = setTimeout(() => this.#cut('expired', expired(this.#conn.target, grace)), grace);
    this.#call.watchEnd();
    if (shadowBytes() > this.#maxShadowBytes) this.#dropForAll();
  }

  cancel(reason: Failure): void {
    if (this.#end !== undefined) return;
    this.#call.cancel(reason);
    this.#conclude('cancelled', reason, undefined);
  }

  /** Something has gone wrong here: it ends alone. */
  fail(error: StatusError): void {
    this.#cut('error', { error, reason: 'director' });
  }

  /** Tells the error handler, whose verdict means nothing. */
  tell(error: StatusError): void {
    const errHandler = this.#errHandler;
    if (errHandler !== undefined) tellOnlooker(() => this.#stream.inScope(() => errHandler(error)));
  }

  onOpen(): void {
    this.#request.flow();
  }

  onOpenFailed(failure: Failure): void {
    this.#onFailed(failure, undefined);
  }

  onHeaders(headers: HeaderList): void {
    this.#observation?.headers(headers);
  }

  onData(chunk: Buffer): void {
    this.#observation?.data(chunk);
  }

  onDrain(): void {
    this.#request.flow();
  }

  onFinish(failure: Failure | undefined, trailers: HeaderList | undefined): void {
    if (failure === undefined) this.#conclude('ok', undefined, trailers);
    else this.#onFailed(failure, trailers);
  }

  #send(chunk: Buffer): void {
    const before = this.#held.bytes;
    this.#request.send(chunk);
    if (shadowBytes() <= this.#maxShadowBytes || this.#held.bytes <= before) return;
    this.#call.forgetSent();
    if (shadowBytes() > this.#maxShadowBytes && this.#held.bytes > before) {
      this.#dropForAll();
    }
  }

  #dropForAll(): void {
    this.#drop(`${shadowBytes()} bytes are held for all shadows, where ${this.#maxShadowBytes} may be`);
  }

  #drop(why: string): void {
    this.#cut('lagged', lagged(this.#conn.target, why));
  }

  #cut(result: ShadowResult, failure: Failure): void {
    if (this.#end !== undefined) return;
    this.#call.cancel(failure);
    this.#conclude(result, failure, undefined);
    this.tell(failure.error);
  }

  #onFailed(failure: Failure, trailers: HeaderList | undefined): void {
    this.#conclude(resultOf(failure), failure, trailers);
    this.tell(failure.error);
  }

  /** The one way out. */
  #conclude(result: ShadowResult, failure: Failure | undefined, trailers: HeaderList | undefined): void {
    if (this.#end !== undefined) return;
    this.#end = { result, failure };
    clearTimeout(this.#graceTimer);
    this.#request.drop();
    this.#observation?.status(failure, trailers);
    const watcher = this.#watcher;
    if (watcher !== undefined) tellOnlooker(() => this.#stream.inScope(() => watcher.onEnd?.(failure)));
    tellShadowEnd(this.#stream, this.state, result);
    this.#owner.onShadowEnded(this);
  }
}
