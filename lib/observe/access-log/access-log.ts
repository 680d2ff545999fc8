import type { RunningCall } from '../../call/observer.js';
import type { CallOutcome } from '../../call/outcome.js';
import { CallLines } from './call-lines.js';
import type { LineBytes } from './line-bytes.js';
import { LineWriter } from './line-writer.js';
import { type AccessLogOptions, checkedOptions } from './options.js';
import { type CallsOwner, RunningLines } from './running-lines.js';

/** A log of calls, made by {@link accessLog}; its public type does not say that it looks on: nobody calls it but the server. */
export class AccessLog {
  readonly #lines = new CallLines();
  readonly #writer: LineWriter;
  readonly #running: RunningLines;
  readonly #sample: number;

  /** @internal */
  constructor(owner: CallsOwner, options: AccessLogOptions) {
    const { file, sample, runningIntervalMilliseconds, onDropped } = checkedOptions(options);
    this.#sample = sample;
    this.#writer = new LineWriter(file, onDropped);
    this.#running = new RunningLines(owner, runningIntervalMilliseconds, (call) => this.#add(call, running));
  }

  /** How many lines were dropped so far. */
  get dropped(): number {
    return this.#writer.dropped;
  }

  /**
   * Opens the file anew, as log rotation asks for it by SIGHUP; what `-` is stays. Never rejected. What is being written comes
   * first: while a named pipe has no room, and nobody reads it, this waits.
   *
   * @returns what is wrong if it cannot be opened: then the old file stays in use
   */
  reopen(): Promise<Error | undefined> {
    return this.#writer.reopen();
  }

  /**
   * Writes what waits to be written, for a second at most, and closes the file. Calls that end later are counted as
   * dropped. Never rejected.
   */
  close(): Promise<void> {
    this.#running.stop();
    return this.#writer.close();
  }

  /** {@link close}, at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal The process ends now: what can be written at once is. */
  flush(): void {
    this.#writer.flush();
  }

  /** @internal */
  onCall(outcome: CallOutcome): void {
    this.#running.onEnded(outcome.context);
    if (outcome.failure === undefined && this.#sample < 1 && Math.random() >= this.#sample) return;
    this.#add(outcome, ended);
  }

  /** What lines are made of is partly the application's: an error may have been changed to what cannot be read. */
  #add<C>(call: C, write: (lines: CallLines, call: C, line: LineBytes) => void): void {
    const line = this.#writer.begin();
    if (line === undefined) return;
    try {
      write(this.#lines, call, line);
    } catch {
      this.#writer.abandon('what a call ended with cannot be read');
      return;
    }
    this.#writer.end();
  }
}

// Made once, and not for each call.

function ended(lines: CallLines, call: CallOutcome, line: LineBytes): void {
  lines.ended(call, line);
}

function running(lines: CallLines, call: RunningCall, line: LineBytes): void {
  lines.running(call, line);
}
