import type { AsyncResource } from 'node:async_hooks';
import { now } from '../call/clock.js';
import type { CallContext } from '../call/context.js';
import { refusePromise, seeTo, tellOnlooker, warn } from '../call/hooks.js';
import type {
  CallObserver,
  CallWatcher,
  DestinationWatcher,
  RunningCall,
  RunningCallState,
  StartedDestination,
} from '../call/observer.js';
import type {
  CallOutcome,
  DestinationOutcome,
  Failure,
  ShadowOutcome,
  ShadowState,
} from '../call/outcome.js';
import { PREFIX_LENGTH } from '../grpc/framing.js';
import { watchersOf } from './destination-watchers.js';
import type { RequestConsumer } from './request-consumer.js';

/** The call that is observed. */
export interface ObservedCall {
  readonly method: string;
  readonly context: CallContext;
  readonly consumer: RequestConsumer | undefined;
  readonly isSettled: boolean;
  readonly octetsReceived: number;
  readonly octetsSent: number;
  readonly ownMessagesSent: number;
  /** What {@link inScope} runs hooks in, if that was captured. */
  readonly asyncScope: AsyncResource | undefined;
  inScope<T>(hook: () => T): T;
}

/** What observers see of one call, and are told of it. Without closures, as far as calls go by that end well. */
export class CallObservation implements RunningCall {
  readonly startedAt = now();
  headersMilliseconds: number | undefined;
  /** A watcher wants to run the handling. */
  isRunByWatcher = false;
  readonly #call: ObservedCall;
  readonly #observers: readonly CallObserver[];
  #watchers: readonly CallWatcher[] = NO_WATCHERS;

  constructor(call: ObservedCall, observers: readonly CallObserver[]) {
    this.#call = call;
    this.#observers = observers;
    for (const observer of observers) this.#start(observer);
  }

  get method(): string {
    return this.#call.method;
  }

  get context(): CallContext {
    return this.#call.context;
  }

  get state(): RunningCallState {
    return this.#call.isSettled ? 'finishing' : (this.#call.consumer?.state ?? 'handling');
  }

  get route(): string | undefined {
    return this.#call.consumer?.route;
  }

  get messagesReceived(): number {
    return this.#call.consumer?.messagesReceived ?? 0;
  }

  get messagesSent(): number {
    return this.#call.ownMessagesSent + (this.#call.consumer?.messagesSent ?? 0);
  }

  get bytesReceived(): number {
    return Math.max(0, this.#call.octetsReceived - PREFIX_LENGTH * this.messagesReceived);
  }

  get bytesSent(): number {
    return Math.max(0, this.#call.octetsSent - PREFIX_LENGTH * this.messagesSent);
  }

  get destinations(): readonly DestinationOutcome[] {
    return this.#call.consumer?.destinations ?? [];
  }

  get shadows(): readonly ShadowState[] {
    return this.#call.consumer?.shadows ?? [];
  }

  onResponseHeaders(): void {
    this.headersMilliseconds = now() - this.startedAt;
  }

  /** Runs what begins the handling, inside of the watchers that want it so; once, whatever they do. */
  run(handle: () => void): void {
    let isBegun = false;
    const begin = (): void => {
      if (isBegun) return;
      isBegun = true;
      handle();
    };
    let run = begin;
    for (const watcher of this.#watchers) {
      const inside = run;
      run = () => tellOnlooker(() => (watcher.run === undefined ? inside() : watcher.run(inside)));
    }
    run();
    begin();
  }

  watcherOf(destination: StartedDestination): DestinationWatcher | undefined {
    let first: DestinationWatcher | undefined;
    let all: DestinationWatcher[] | undefined;
    for (const watcher of this.#watchers) {
      let one: DestinationWatcher | undefined;
      try {
        one = watcher.onDestination?.(destination);
        refusePromise(one, 'onDestination');
      } catch (error) {
        warn(error);
        continue;
      }
      if (!one) continue;
      if (first === undefined) first = one;
      else if (all === undefined) all = [first, one];
      else all.push(one);
    }
    return all === undefined ? first : watchersOf(all);
  }

  onShadow(outcome: ShadowOutcome): void {
    this.#call.inScope(() => {
      for (const observer of this.#observers) tellOnlooker(() => observer.onShadow?.(outcome));
    });
  }

  onEnd(failure: Failure | undefined): void {
    const outcome = this.#outcome(failure);
    const { asyncScope } = this.#call;
    if (asyncScope === undefined) this.#tell(outcome);
    else asyncScope.runInAsyncScope(this.#tell, this, outcome);
  }

  #tell(outcome: CallOutcome): void {
    for (const watcher of this.#watchers) {
      try {
        seeTo(watcher.onEnd?.(outcome));
      } catch (error) {
        warn(error);
      }
    }
    for (const observer of this.#observers) {
      try {
        seeTo(observer.onCall?.(outcome));
      } catch (error) {
        warn(error);
      }
    }
  }

  #start(observer: CallObserver): void {
    try {
      const watcher = observer.onCallStarted?.(this);
      if (!watcher) return;
      refusePromise(watcher, 'onCallStarted');
      if (watcher.run !== undefined) this.isRunByWatcher = true;
      this.#watchers = this.#watchers.length === 0 ? [watcher] : [...this.#watchers, watcher];
    } catch (error) {
      warn(error);
    }
  }

  #outcome(failure: Failure | undefined): CallOutcome {
    const { consumer, method, context, octetsReceived, octetsSent } = this.#call;
    const { messagesReceived, messagesSent, startedAt } = this;
    return {
      method,
      context,
      route: consumer?.route,
      failure,
      startedAt,
      durationMilliseconds: now() - startedAt,
      headersMilliseconds: this.headersMilliseconds,
      messagesReceived,
      messagesSent,
      bytesReceived: Math.max(0, octetsReceived - PREFIX_LENGTH * messagesReceived),
      bytesSent: Math.max(0, octetsSent - PREFIX_LENGTH * messagesSent),
      destinations: consumer?.destinations ?? [],
      shadows: consumer?.shadows ?? [],
    };
  }
}

const NO_WATCHERS: readonly CallWatcher[] = [];
