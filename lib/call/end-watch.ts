import { listenForAbort, stopListeningForAbort } from './abort-listeners.js';
import { DeadlineTimer } from './deadline.js';

/** What a context may say about a call's end, besides what its client does. */
export interface ContextEnd {
  readonly signals: readonly AbortSignal[];
  readonly deadline: number | undefined;
}

/** Waits for the end that a context sets, and tells of it once; from inside the constructor if it is there already. */
export class EndWatch {
  readonly #signals: readonly AbortSignal[];
  readonly #onAbort: (reason: unknown) => void;
  #timer: DeadlineTimer | undefined;
  #stopped = false;
  readonly #listener = (): void => {
    const aborted = this.#signals.find((signal) => signal.aborted);
    this.stop();
    this.#onAbort(aborted?.reason);
  };

  constructor({ signals, deadline }: ContextEnd, onDeadline: () => void, onAbort: (reason: unknown) => void) {
    this.#signals = signals;
    this.#onAbort = onAbort;
    if (signals.some((signal) => signal.aborted)) {
      this.#listener();
      return;
    }
    for (const signal of signals) listenForAbort(signal, this.#listener);
    if (deadline !== undefined) {
      this.#timer = new DeadlineTimer(deadline, () => {
        this.stop();
        onDeadline();
      });
    }
  }

  /** Leaves nothing behind. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.stop();
    for (const signal of this.#signals) stopListeningForAbort(signal, this.#listener);
  }
}
