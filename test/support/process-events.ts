import { setImmediate as turn } from 'node:timers/promises';
import type { Test } from 'tap';

/** What the process was told while a test ran: what would have ended it, and its warnings. */
export class ProcessEvents {
  readonly fatal: string[] = [];
  readonly warnings: string[] = [];

  constructor(t: Test) {
    const onFatal = (error: unknown): void => {
      this.fatal.push(textOf(error));
    };
    const onWarning = (warning: Error): void => {
      this.warnings.push(warning.message);
    };
    process.on('uncaughtException', onFatal);
    process.on('unhandledRejection', onFatal);
    process.on('warning', onWarning);
    t.teardown(() => {
      process.off('uncaughtException', onFatal);
      process.off('unhandledRejection', onFatal);
      process.off('warning', onWarning);
    });
  }

  /** Lets what is due be told: both come in a later turn of the event loop. */
  async settled(): Promise<void> {
    for (let i = 0; i < 3; i++) await turn();
  }
}

/** What was thrown may be anything, also what cannot be shown. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.stack}` : `thrown: ${String(error)}`;
  } catch {
    return 'thrown: what has no text';
  }
}
