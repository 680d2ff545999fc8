import { Code, StatusError } from '../grpc/status.js';
import { type ContextEnd, EndWatch } from './end-watch.js';

/**
 * A call's cancellation, as signals: the call's own, and those of contexts that end earlier. Each is made only when
 * somebody asks for it, and what it waits for is left when the call ends.
 */
export class Cancellation {
  #controller: AbortController | undefined;
  /** Those that have not aborted. */
  #derived: Set<DerivedSignal> | undefined;
  #reason: Error | undefined;
  #ended = false;

  /** Aborts when the call is cancelled. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** A signal that aborts when the call is cancelled, and when this end comes while the call runs. */
  derive(end: ContextEnd): AbortSignal {
    if (this.#reason !== undefined) return AbortSignal.abort(this.#reason);
    const aborted = end.signals.find((signal) => signal.aborted);
    if (aborted !== undefined) return aborted;
    const derived = new DerivedSignal(end, () => this.#derived?.delete(derived));
    if (this.#ended) derived.stop();
    this.#derived ??= new Set();
    this.#derived.add(derived);
    return derived.signal;
  }

  /** Aborts all of them; the first reason counts. */
  cancel(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    for (const derived of this.#derived ?? []) derived.abort(reason);
  }

  /** The call has ended: nothing is waited for any more. */
  end(): void {
    this.#ended = true;
    if (this.#derived === undefined) return;
    for (const derived of this.#derived) derived.stop();
  }
}

class DerivedSignal {
  readonly #controller = new AbortController();
  readonly #watch: EndWatch;

  constructor(end: ContextEnd, onEnd: () => void) {
    const abort = (reason: unknown): void => {
      this.#controller.abort(reason);
      onEnd();
    };
    this.#watch = new EndWatch(end, () => abort(deadlinePassed()), abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#watch.stop();
    this.#controller.abort(reason);
  }

  stop(): void {
    this.#watch.stop();
  }
}

/** The error of a context whose deadline has passed. */
export function deadlinePassed(): StatusError {
  return StatusError.withoutStack(Code.DEADLINE_EXCEEDED, 'the deadline has passed');
}

/** The error of a context that was cancelled by a signal of its own. */
export function cancelledByContext(): StatusError {
  return StatusError.withoutStack(Code.CANCELLED, 'the call was cancelled by its context');
}
