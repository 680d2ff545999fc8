import { outsideOfCalls } from '../port/outside-of-calls.js';

type Listener = () => void;

/**
 * Who hears of a signal. One signal may be given to all calls of a server: it gets one listener of ours, whatever
 * their number. Node 20 takes more than ten for a leak, and removing one of many from a signal is a search.
 */
class AbortListeners {
  readonly #signal: AbortSignal;
  readonly #listeners = new Set<Listener>();
  readonly #onAbort = (): void => outsideOfCalls(() => this.#tell());

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(listener: Listener): void {
    if (this.#listeners.size === 0) this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#listeners.add(listener);
  }

  delete(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size === 0) this.#signal.removeEventListener('abort', this.#onAbort);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) {
      // What one does may have taken another away.
      if (this.#listeners.delete(listener)) listener();
    }
  }
}

const listenersOf = new WeakMap<AbortSignal, AbortListeners>();

/** Calls `listener`, which must not throw, when a signal aborts that has not yet; each listener once. */
export function listenForAbort(signal: AbortSignal, listener: Listener): void {
  let listeners = listenersOf.get(signal);
  if (listeners === undefined) {
    listeners = new AbortListeners(signal);
    listenersOf.set(signal, listeners);
  }
  listeners.add(listener);
}

/** Takes back {@link listenForAbort}. */
export function stopListeningForAbort(signal: AbortSignal, listener: Listener): void {
  listenersOf.get(signal)?.delete(listener);
}
