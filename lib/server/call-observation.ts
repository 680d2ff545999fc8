import { now } from '../call/clock.js';
import type { CallContext } from '../call/context.js';
import { askOnlooker, tellOnlooker } from '../call/hooks.js';
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
  inScope<T>(hook: () => T): T;
}

/** What observers see of one call, and are told of it. */
export class CallObservation implements RunningCall {
  readonly startedAt = now();
  headersMilliseconds: number | undefined;
  readonly #call: ObservedCall;
  readonly #observers: readonly CallObserver[];
  readonly #watchers: CallWatcher[] = [];

  constructor(call: ObservedCall, observers: readonly CallObserver[]) {
    this.#call = call;
    this.#observers = observers;
    for (const observer of observers) {
      const watcher = askOnlooker(() => observer.onCallStarted?.(this));
      if (watcher) this.#watchers.push(watcher);
    }
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
      if (watcher.run === undefined) continue;
      const inside = run;
      run = () => tellOnlooker(() => watcher.run?.(inside));
    }
    run();
    begin();
  }

  watcherOf(destination: StartedDestination): DestinationWatcher | undefined {
    const watchers: DestinationWatcher[] = [];
    for (const watcher of this.#watchers) {
      const one = askOnlooker(() => watcher.onDestination?.(destination));
      if (one) watchers.push(one);
    }
    return watchersOf(watchers);
  }

  onShadow(outcome: ShadowOutcome): void {
    for (const observer of this.#observers) this.#tell(() => observer.onShadow?.(outcome));
  }

  onEnd(failure: Failure | undefined): void {
    const { messagesReceived, messagesSent, bytesReceived, bytesSent, destinations, shadows } = this;
    const outcome: CallOutcome = {
      method: this.method,
      context: this.context,
      route: this.route,
      failure,
      startedAt: this.startedAt,
      durationMilliseconds: now() - this.startedAt,
      headersMilliseconds: this.headersMilliseconds,
      messagesReceived,
      messagesSent,
      bytesReceived,
      bytesSent,
      destinations,
      shadows,
    };
    for (const watcher of this.#watchers) this.#tell(() => watcher.onEnd?.(outcome));
    for (const observer of this.#observers) this.#tell(() => observer.onCall?.(outcome));
  }

  #tell(callback: () => unknown): void {
    this.#call.inScope(() => tellOnlooker(callback));
  }
}
