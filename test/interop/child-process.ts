import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';

/** A line that a child process printed. */
export type Line = Readonly<Record<string, unknown>>;

/** A child process that speaks in lines of JSON. */
export class Child {
  readonly #process: ChildProcess;
  readonly #lines: Line[] = [];
  readonly #closed: Promise<unknown>;
  readonly #news = new EventEmitter().setMaxListeners(0);
  #ended = false;

  constructor(command: string, ...args: string[]) {
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    // It may have ended before it reads what it is told.
    this.#process.stdin?.on('error', () => {});
    createInterface({ input: this.#process.stdout! }).on('line', (text) => {
      this.#lines.push(JSON.parse(text) as Line);
      this.#news.emit('news');
    });
    this.#closed = once(this.#process, 'close').then(() => {
      this.#ended = true;
      this.#news.emit('news');
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The first line with these fields that nobody has taken before; waits for it. */
  async line(fields: Line, patienceSeconds = 40): Promise<Line> {
    const signal = AbortSignal.timeout(patienceSeconds * 1000);
    const matches = (line: Line): boolean =>
      Object.entries(fields).every(([name, value]) => line[name] === value);
    for (;;) {
      const index = this.#lines.findIndex(matches);
      if (index >= 0) return this.#lines.splice(index, 1)[0]!;
      if (this.#ended) throw new Error(`ended without a line with ${JSON.stringify(fields)}`);
      await once(this.#news, 'news', { signal }).catch((error) => {
        throw new Error(`no line with ${JSON.stringify(fields)} in ${patienceSeconds} s`, { cause: error });
      });
    }
  }

  /** The lines that nobody has taken. */
  get lines(): readonly Line[] {
    return this.#lines;
  }

  tell(text: string): void {
    this.#process.stdin?.write(`${text}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The exit code, once it has ended; null if a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#process.exitCode;
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#closed;
  }
}
