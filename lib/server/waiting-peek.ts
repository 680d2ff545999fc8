import { listenForAbort, stopListeningForAbort } from '../call/abort-listeners.js';
import type { Message } from '../grpc/framing.js';

/** A peek that has not been answered. */
export class WaitingPeek {
  readonly count: number;
  readonly inflates: boolean;
  readonly messages: Promise<Message[]>;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;
  #resolve!: (messages: Message[]) => void;
  #reject!: (error: unknown) => void;

  /**
   * @param signal rejects it with its reason when it aborts
   * @param onAborted told then
   */
  constructor(
    count: number,
    inflates: boolean,
    signal: AbortSignal | undefined,
    onAborted: (peek: WaitingPeek) => void,
  ) {
    this.count = count;
    this.inflates = inflates;
    this.messages = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal === undefined) return;
    this.#signal = signal;
    this.#onAbort = () => {
      this.reject(signal.reason);
      onAborted(this);
    };
    listenForAbort(signal, this.#onAbort);
  }

  resolve(messages: Message[]): void {
    this.#leave();
    this.#resolve(messages);
  }

  reject(error: unknown): void {
    this.#leave();
    ignoreRejection(this.messages);
    this.#reject(error);
  }

  /** Gives what these become, later; a signal may be quicker. */
  resolveWith(messages: Promise<Message[]>): void {
    messages.then(
      (given) => this.resolve(given),
      (error) => this.reject(error),
    );
  }

  #leave(): void {
    if (this.#signal !== undefined) stopListeningForAbort(this.#signal, this.#onAbort!);
  }
}

/** A promise that is rejected. */
export function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject(error);
  ignoreRejection(promise);
  return promise;
}

/** A director may answer without waiting for it, and Node ends the process when nobody hears of a rejection. */
function ignoreRejection(promise: Promise<unknown>): void {
  promise.catch(() => {});
}
