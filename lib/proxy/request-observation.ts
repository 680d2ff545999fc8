import { tellOnlooker } from '../call/hooks.js';
import { MessageParser } from '../grpc/framing.js';
import { PREFIX_LENGTH } from '../grpc/prefix.js';
import type { StatusError } from '../grpc/status.js';
import { keep } from '../port/lent-memory.js';
import type { ServerCall } from '../server/server-call.js';
import type { RequestObserver } from './request-observer.js';

/** Feeds the observer of one request. */
export class RequestObservation {
  #observer: RequestObserver | undefined;
  readonly #call: ServerCall;
  /** Where the observer wants messages. */
  readonly #parser: MessageParser | undefined;
  /** Of a message that is not complete, and what is charged for it. */
  #pending = 0;
  #charged = 0;

  constructor(observer: RequestObserver, call: ServerCall) {
    this.#observer = observer;
    this.#call = call;
    if (observer.onMessage === undefined) return;
    // The request's own limit has been applied before.
    this.#parser = new MessageParser(
      (payload, compressed) => this.#onMessage(payload, compressed),
      Number.POSITIVE_INFINITY,
    );
  }

  /** The next DATA, which has been found to be of messages. */
  push(chunk: Buffer): void {
    if (this.#observer === undefined || this.#parser === undefined) return;
    this.#pending += chunk.length;
    this.#parser.push(keep(chunk));
    this.#charge(this.#observer === undefined ? 0 : this.#pending);
  }

  /** Nothing more comes. */
  end(error: StatusError | undefined): void {
    this.#tell((observer) => observer.onEnd?.(error));
    this.#leave();
  }

  #onMessage(payload: Buffer, compressed: boolean): void {
    this.#pending -= PREFIX_LENGTH + payload.length;
    this.#tell((observer) => observer.onMessage?.(payload, compressed));
  }

  #tell(call: (observer: RequestObserver) => unknown): void {
    const observer = this.#observer;
    if (observer === undefined) return;
    this.#call.inScope(() =>
      tellOnlooker(
        () => call(observer),
        () => this.#leave(),
      ),
    );
  }

  #leave(): void {
    this.#observer = undefined;
    this.#charge(0);
  }

  #charge(bytes: number): void {
    const more = bytes - this.#charged;
    this.#charged = bytes;
    if (more > 0) this.#call.held.hold(more);
    else if (more < 0) this.#call.held.release(-more);
  }
}
