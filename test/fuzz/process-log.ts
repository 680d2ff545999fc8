/** What the process has been told since the last look: what would have ended it, and warnings of leaks. */
export class ProcessLog {
  readonly #entries: string[] = [];

  constructor() {
    // Node prints each otherwise, and what applications throw where they only look on is told as one.
    process.removeAllListeners('warning');
    process.on('uncaughtException', (error) => this.#entries.push(`uncaught: ${describe(error)}`));
    process.on('unhandledRejection', (error) =>
      this.#entries.push(`unhandled rejection: ${describe(error)}`),
    );
    process.on('warning', (warning) => {
      if (warning.name === 'MaxListenersExceededWarning') this.#entries.push(describe(warning));
    });
  }

  /** @throws if there was anything */
  check(): void {
    const entries = this.#entries.splice(0);
    if (entries.length > 0) throw new Error(entries.join('\n'));
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
