/** Resolves `done` at the last of so many ticks. */
export class Countdown {
  readonly done: Promise<void>;
  #resolve!: () => void;
  #left: number;

  constructor(count: number) {
    this.#left = count;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  tick(): void {
    this.#left--;
    if (this.#left === 0) this.#resolve();
  }
}
