import { type CallContext, peerAddress } from '../call/context.js';
import { tellOnlooker } from '../call/hooks.js';
import type { CallObserver, Failure } from '../call/outcome.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { IncomingStream } from '../port/stream.js';
import { ServerCall, type ServerCallOwner } from './server-call.js';

/** The calls of a server, counted. */
export class RunningCalls implements ServerCallOwner {
  readonly maxReceiveMessageBytes: number;
  readonly observer: CallObserver | undefined;
  /** The calls, linked both ways: a Set's tables would keep those that have ended alive (stream-table.ts). */
  #first: ServerCall | undefined;
  #count = 0;
  #onNone: (() => void) | undefined;

  constructor(maxReceiveMessageBytes: number, observer: CallObserver | undefined) {
    this.maxReceiveMessageBytes = maxReceiveMessageBytes;
    this.observer = observer;
  }

  begin(stream: IncomingStream, context: CallContext, inputEnded: boolean): ServerCall {
    this.#count++;
    const call = new ServerCall(this, stream, context, inputEnded);
    call.next = this.#first;
    if (this.#first !== undefined) this.#first.previous = call;
    this.#first = call;
    return call;
  }

  /** Ends all that run. */
  end(failure: Failure): void {
    for (let call = this.#first; call !== undefined; call = this.#first) call.end(failure);
  }

  onCallFinished(call: ServerCall): void {
    if (call.previous === undefined) this.#first = call.next;
    else call.previous.next = call.next;
    if (call.next !== undefined) call.next.previous = call.previous;
    call.previous = undefined;
    call.next = undefined;
    this.#count--;
    if (this.#count === 0) this.#onNone?.();
  }

  /** Resolves when none is running. */
  finished(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onNone = resolve;
    });
  }

  refused(stream: IncomingStream, headers: HeaderList, httpStatus: number): void {
    const { observer } = this;
    if (observer === undefined) return;
    const request = {
      httpStatus,
      httpMethod: headerValue(headers, ':method') ?? '',
      path: headerValue(headers, ':path') ?? '',
      peer: peerAddress(stream.socket),
    };
    tellOnlooker(() => observer.onRefused?.(request));
  }
}
