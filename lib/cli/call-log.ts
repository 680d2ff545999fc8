import { resolve } from 'node:path';
import type { CallObserver, RunningCall } from '../call/observer.js';
import { type AccessLog, accessLog } from '../observe/access-log/index.js';
import type { Config } from '../routes/schema.js';
import type { Log } from './log.js';

interface ObservedCalls {
  observe(observer: CallObserver): void;
  readonly runningCalls: readonly RunningCall[];
}

/** The access log that the config asks for, which may become another, or none. */
export class CallLog {
  readonly #calls: ObservedCalls;
  readonly #log: Log;
  readonly #onDropped: (count: number) => void;
  #config: Config['accessLog'];
  #file: AccessLog | undefined;
  #observer: CallObserver | undefined;
  #isLookingOn = false;

  /** @param onDropped told how many more lines were dropped */
  constructor(calls: ObservedCalls, log: Log, onDropped: (count: number) => void) {
    this.#calls = calls;
    this.#log = log;
    this.#onDropped = onDropped;
    // A second signal ends the process at once.
    process.on('exit', () => this.#file?.flush());
  }

  /**
   * @param folder what its path is relative to
   * @throws Error for a file that cannot be opened; then it stays as it was
   */
  use(config: Config['accessLog'], folder: string): void {
    if (JSON.stringify(config) === JSON.stringify(this.#config)) return;
    const before = this.#file;
    try {
      this.#file =
        config && this.#open(config.file === '-' ? '-' : resolve(folder, config.file), config.sample);
    } catch (error) {
      throw new Error(`accessLog: ${(error as Error).message}`);
    }
    if (config === undefined) this.#observer = undefined;
    this.#config = config;
    void before?.close();
  }

  async reopen(): Promise<void> {
    const error = await this.#file?.reopen();
    if (error !== undefined) this.#log.error(`accessLog: ${error.message}; the old file stays in use`);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  #open(file: string, sample: number): AccessLog {
    const calls = this.#calls;
    return accessLog(
      {
        observe: (observer) => this.#observe(observer),
        get runningCalls() {
          return calls.runningCalls;
        },
      },
      {
        file,
        sample,
        onDropped: (count, why) => {
          this.#onDropped(count);
          this.#log.warn(`accessLog: ${count} lines are lost: ${why}`);
        },
      },
    );
  }

  /** A server's observers stay: the first one hands on to the log that there is. */
  #observe(observer: CallObserver): void {
    this.#observer = observer;
    if (this.#isLookingOn) return;
    this.#isLookingOn = true;
    this.#calls.observe({ onCall: (outcome) => this.#observer?.onCall?.(outcome) });
  }
}
