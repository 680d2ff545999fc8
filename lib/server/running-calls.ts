import { type CallContext, peerAddress } from '../call/context.js';
import { tellOnlooker } from '../call/hooks.js';
import type { CallObserver } from '../call/outcome.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { IncomingStream } from '../port/stream.js';
import { ServerCall, type ServerCallOwner } from './server-call.js';

/** The calls of a server, counted. */
export class RunningCalls implements ServerCallOwner {
  readonly maxReceiveMessageBytes: number;
  readonly observer: CallObserver | undefined;
  #count = 0;
  #onNone: (() => void) | undefined;

  constructor(maxReceiveMessageBytes: number, observer: CallObserver | undefined) {
    this.maxReceiveMessageBytes = maxReceiveMessageBytes;
    this.observer = observer;
  }

  begin(stream: IncomingStream, context: CallContext, inputEnded: boolean): ServerCall {
    this.#count++;
    // Asked for as long as it can be told: sockets forget it when they close.
    if (this.observer !== undefined) void context.peer;
    return new ServerCall(this, stream, context, inputEnded);
  }

  onCallFinished(): void {
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
    if (observer?.onRefused === undefined) return;
    const request = {
      httpStatus,
      httpMethod: headerValue(headers, ':method') ?? '',
      path: headerValue(headers, ':path') ?? '',
      peer: peerAddress(stream.socket),
    };
    tellOnlooker(() => observer.onRefused?.(request));
  }
}
