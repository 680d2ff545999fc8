import { tellOnlooker } from '../../call/hooks.js';

/** Told how many lines more were dropped, and why. */
export type OnDropped = (count: number, why: string) => void;

/** How often it is told at most. */
const TELL_MILLISECONDS = 1000;

/** Counts what was dropped, and tells of it, but not of each. */
export class Drops {
  count = 0;
  readonly #onDropped: OnDropped | undefined;
  #untold = 0;
  #why = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(onDropped: OnDropped | undefined) {
    this.#onDropped = onDropped;
  }

  add(count: number, why: string): void {
    if (count === 0) return;
    this.count += count;
    this.#untold += count;
    this.#why = why;
    this.#timer ??= setTimeout(() => this.tell(), TELL_MILLISECONDS).unref();
  }

  /** Tells now what has not been told. */
  tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const count = this.#untold;
    if (count === 0) return;
    this.#untold = 0;
    tellOnlooker(() => this.#onDropped?.(count, this.#why));
  }
}
