import type { Parent } from '../support/child.js';

/** What is to be ended, whatever happens: the last first. */
export class Belongings implements Parent {
  readonly #ends: (() => void | Promise<void>)[] = [];

  teardown(end: () => void | Promise<void>): void {
    this.#ends.push(end);
  }

  /** Ends them, and this process, if somebody ends this process: they would outlive it. */
  endOnSignals(): void {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(signal, () => void this.end().finally(() => process.exit(code)));
    }
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}
