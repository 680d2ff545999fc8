import type { Socket } from 'node:net';
import { type CallContext, peerAddress } from '../call/context.js';
import { tellOnlooker } from '../call/hooks.js';
import type { CallObserver, FailedCall } from '../call/observer.js';
import type { Failure } from '../call/outcome.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { PeerRefusalReason } from '../port/peer-refusal.js';
import type { IncomingStream } from '../port/stream.js';
import { CallObservation } from './call-observation.js';
import { LinkedList } from './linked-list.js';
import { ServerCall, type ServerCallOwner } from './server-call.js';
import type { Straggler } from './straggler.js';

/** The calls of a server, and what goes on after their end, counted. */
export class RunningCalls implements ServerCallOwner {
  readonly maxReceiveMessageBytes: number;
  /** Told of calls that fail. */
  onFailedCall: ((call: FailedCall) => void) | undefined;
  readonly #calls = new LinkedList<ServerCall>();
  readonly #stragglers = new LinkedList<Straggler>();
  #observers: readonly CallObserver[];
  #count = 0;
  #onNone: (() => void) | undefined;
  /** Set once nothing may go on after the end of a call. */
  #end: Failure | undefined;

  constructor(maxReceiveMessageBytes: number, observer: CallObserver | undefined) {
    this.maxReceiveMessageBytes = maxReceiveMessageBytes;
    this.#observers = observer === undefined ? [] : [observer];
  }

  begin(stream: IncomingStream, context: CallContext, inputEnded: boolean): ServerCall {
    this.#count++;
    const call = new ServerCall(this, stream, context, inputEnded);
    this.#calls.add(call);
    return call;
  }

  /** Lets observers look on at a call that has begun. */
  observe(call: ServerCall): void {
    call.isObserved = true;
    if (this.#observers.length > 0) call.observation ??= new CallObservation(call, this.#observers);
  }

  /** Looks on at the calls that begin from now on, too. */
  addObserver(observer: CallObserver): void {
    this.#observers = [...this.#observers, observer];
  }

  /** How many run, or go on after their end. */
  get count(): number {
    return this.#count;
  }

  /** Those that are observed, the oldest first. */
  get observed(): CallObservation[] {
    const calls: CallObservation[] = [];
    for (let call = this.#calls.first; call !== undefined; call = call.next) {
      if (call.observation !== undefined) calls.push(call.observation);
    }
    return calls.reverse();
  }

  /** Ends all that run, and what goes on after them; returns how many calls that were. */
  end(failure: Failure): number {
    this.endStragglers(failure);
    let count = 0;
    for (let call = this.#calls.first; call !== undefined; call = this.#calls.first) {
      count++;
      call.end(failure);
    }
    return count;
  }

  /** Ends what goes on after calls, from now on at their end. */
  endStragglers(failure: Failure): void {
    this.#end ??= failure;
    const stragglers = this.#stragglers;
    for (let one = stragglers.first; one !== undefined; one = stragglers.first) {
      this.onStragglerEnded(one);
      one.end(failure);
    }
  }

  onCallFinished(call: ServerCall, failure: Failure | undefined): void {
    this.#calls.remove(call);
    if (failure !== undefined && call.isObserved && this.onFailedCall !== undefined) {
      const { method, consumer } = call;
      const target = consumer?.destinations[0]?.target;
      this.onFailedCall({ method, route: consumer?.route, failure, target });
    }
    this.#leave();
  }

  awaitStraggler(straggler: Straggler): Failure | undefined {
    if (this.#end !== undefined) return this.#end;
    this.#count++;
    this.#stragglers.add(straggler);
    return undefined;
  }

  onStragglerEnded(straggler: Straggler): void {
    this.#stragglers.remove(straggler);
    this.#leave();
  }

  /** Resolves when none is running. */
  finished(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onNone = resolve;
    });
  }

  refused(stream: IncomingStream, headers: HeaderList, httpStatus: number): void {
    if (this.#observers.length === 0) return;
    const request = {
      httpStatus,
      httpMethod: headerValue(headers, ':method') ?? '',
      path: headerValue(headers, ':path') ?? '',
      peer: peerAddress(stream.socket),
    };
    for (const observer of this.#observers) tellOnlooker(() => observer.onRefused?.(request));
  }

  peerRefused(socket: Socket, reason: PeerRefusalReason, text: string): void {
    if (this.#observers.length === 0) return;
    const refusal = { reason, peer: peerAddress(socket), text };
    for (const observer of this.#observers) tellOnlooker(() => observer.onPeerRefused?.(refusal));
  }

  #leave(): void {
    this.#count--;
    if (this.#count === 0) this.#onNone?.();
  }
}
