import { tellOnlooker, warn } from '../call/hooks.js';
import type { Failure, ShadowState } from '../call/outcome.js';
import type { CallOptions } from '../client/call-options.js';
import { StatusError } from '../grpc/status.js';
import { wrongType } from '../port/errors.js';
import type { ServerCall } from '../server/server-call.js';
import { Afterlife } from './afterlife.js';
import type { Destination, ShadowDestination, StreamParameters } from './director.js';
import { errHandlerOf, isSampled } from './shadow-options.js';
import { type ShadowOwner, ShadowStream } from './shadow-stream.js';

/**
 * The shadows of one call. Nothing of them reaches the call: what goes wrong with one, in its options, its handlers or
 * here, ends that one alone.
 */
export class Shadows implements ShadowOwner {
  readonly #call: ServerCall;
  readonly #streams: ShadowStream[] = [];
  #afterlife: Afterlife | undefined;

  private constructor(call: ServerCall) {
    this.#call = call;
    // What their handlers and the observer hear may come after the call, from wherever.
    call.captureScope();
  }

  /**
   * Those that a director has asked for and that this call is drawn for; undefined if there is none.
   *
   * @param maxShadowBytes what may be held for all shadows of the process
   */
  static of(
    call: ServerCall,
    parameters: StreamParameters,
    callOptions: CallOptions,
    maxShadowBytes: number,
  ): Shadows | undefined {
    let all: Shadows | undefined;
    try {
      const { shadows } = parameters;
      if (shadows === undefined) return undefined;
      if (!Array.isArray(shadows)) throw wrongType('the shadows of a call', 'an array', shadows);
      for (const shadow of shadows as readonly ShadowDestination[]) {
        let errHandler: Destination['errHandler'];
        try {
          errHandler = errHandlerOf(shadow);
          if (!isSampled(shadow)) continue;
          all ??= new Shadows(call);
          all.#streams.push(new ShadowStream(all, call, shadow, errHandler, callOptions, maxShadowBytes));
        } catch (thrown) {
          refuse(call, errHandler, thrown);
        }
      }
    } catch (thrown) {
      warn(thrown);
    }
    return all;
  }

  get states(): readonly ShadowState[] {
    return this.#streams.map(({ state }) => state);
  }

  start(): void {
    this.#each((stream) => stream.start());
  }

  /** Sends what comes before the client's first byte. */
  begin(): void {
    this.#each((stream) => stream.begin());
  }

  /** Sends a chunk of the request; without a closure for each. */
  push(chunk: Buffer): void {
    for (const stream of this.#streams) {
      try {
        if (!stream.hasEnded) stream.send(chunk);
      } catch (thrown) {
        fail(stream, thrown);
      }
    }
  }

  /** Everybody who holds the client back has taken what there was. */
  judgeLag(): void {
    for (const stream of this.#streams) if (!stream.hasEnded) stream.judgeLag();
  }

  /** Half-closes them. */
  finishRequest(): void {
    this.#each((stream) => stream.finishRequest());
  }

  /** Tells their error handlers of what befell another. */
  tell(error: StatusError): void {
    for (const stream of this.#streams) stream.tell(error);
  }

  /**
   * The call has ended.
   *
   * @param isComplete whether they have been given all of the request, so that they may go on
   * @param reason what they are cancelled for otherwise
   */
  leave(isComplete: boolean, reason: Failure): void {
    if (!isComplete) {
      for (const stream of this.#streams) stream.cancel(reason);
      return;
    }
    this.judgeLag();
    this.#afterlife = new Afterlife(this.#call, this.#streams);
    this.#afterlife.begin();
  }

  onShadowEnded(): void {
    this.#afterlife?.onEnded();
  }

  #each(act: (stream: ShadowStream) => void): void {
    for (const stream of this.#streams) {
      try {
        if (!stream.hasEnded) act(stream);
      } catch (thrown) {
        fail(stream, thrown);
      }
    }
  }
}

/** A shadow that makes no sense: its error handler is told, or else everybody. */
function refuse(call: ServerCall, errHandler: Destination['errHandler'], thrown: unknown): void {
  if (errHandler === undefined) warn(thrown);
  else tellOnlooker(() => call.inScope(() => errHandler(StatusError.from(thrown))));
}

function fail(stream: ShadowStream, thrown: unknown): void {
  warn(thrown);
  stream.fail(StatusError.from(thrown));
}
