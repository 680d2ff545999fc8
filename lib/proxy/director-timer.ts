import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import { Code, StatusError } from '../grpc/status.js';

/** Limits how long a director may take for its answer. */
export class DirectorTimer {
  /** What the call has ended with, once the director's time is over. */
  error: StatusError | undefined;
  readonly #timer: NodeJS.Timeout | undefined;

  /** @param onPassed called unless the timer has been stopped in time */
  constructor(milliseconds: number, onPassed: (error: StatusError) => void) {
    if (milliseconds > MAX_TIMER_MILLISECONDS) return;
    this.#timer = setTimeout(() => {
      const message = `the director has not answered within ${milliseconds} ms`;
      this.error = StatusError.withoutStack(Code.DEADLINE_EXCEEDED, message);
      onPassed(this.error);
    }, milliseconds);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
