import type { Progress } from './run.js';

/** Progress on standard error: one line that changes on a terminal, a line every ten seconds elsewhere. */
export class TextProgress implements Progress {
  readonly #start = performance.now();
  #lastLine = Number.NEGATIVE_INFINITY;

  note(text: string): void {
    this.#clear();
    process.stderr.write(`${text}\n`);
  }

  step(text: string): void {
    const seconds = Math.round((performance.now() - this.#start) / 1000);
    if (process.stderr.isTTY) {
      this.#clear();
      process.stderr.write(`${seconds} s  ${text}`);
    } else if (seconds >= this.#lastLine + 10) {
      this.#lastLine = seconds;
      process.stderr.write(`${seconds} s  ${text}\n`);
    }
  }

  done(): void {
    this.#clear();
  }

  #clear(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}
