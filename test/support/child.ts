import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { within } from './within.js';

/** What a child process says in a line of JSON. */
export type Line = Readonly<Record<string, unknown>>;

/** Who has children: a test, say. */
export interface Parent {
  teardown(end: () => Promise<void>): void;
}

/** A child process, whose output is kept, and which ends with who has it. */
export class Child {
  /** All that it has printed: to each, and to both in the order in which it came. */
  stdout = '';
  stderr = '';
  output = '';
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<unknown>;
  #isClosed = false;
  /** Whole lines that nobody has taken, and what follows them. */
  #lines: string[] = [];
  #rest = '';
  #waiting: (() => void)[] = [];

  private constructor(process: ChildProcessWithoutNullStreams) {
    this.#process = process;
    // `close` follows; what is wrong (ENOENT, say) is told by whoever waits for output.
    process.on('error', (error) => {
      this.stderr += error.message;
    });
    // It may have ended before it reads what it is told.
    process.stdin.on('error', () => {});
    process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.output += text;
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop()!;
      this.#lines.push(...lines);
      this.#wake();
    });
    process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.output += text;
      this.#wake();
    });
    this.#closed = once(process, 'close').then(() => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  static start(parent: Parent, command: string, ...commandArguments: readonly string[]): Child {
    const child = new Child(spawn(command, commandArguments, { stdio: 'pipe' }));
    parent.teardown(() => child.kill());
    return child;
  }

  /** Starts Node.js. */
  static node(parent: Parent, ...nodeArguments: readonly string[]): Child {
    return Child.start(parent, process.execPath, ...nodeArguments);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get exitCode(): number | null {
    return this.#process.exitCode;
  }

  /** Waits until its output matches. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(() => pattern.exec(this.output), `${pattern}`);
  }

  /** The first line of JSON with these fields that nobody has taken before; waits for it. */
  async line(fields: Line, patienceSeconds = 40): Promise<Line> {
    const wanted = Object.entries(fields);
    const what = `a line with ${JSON.stringify(fields)}`;
    const take = (): Line | null => {
      const index = this.lines.findIndex((line) => wanted.every(([name, value]) => line[name] === value));
      return index < 0 ? null : (JSON.parse(this.#lines.splice(index, 1)[0]!) as Line);
    };
    return within(patienceSeconds * 1000, what, this.#until(take, what));
  }

  /** The lines of JSON that nobody has taken. */
  get lines(): Line[] {
    return this.#lines.map((text) => JSON.parse(text) as Line);
  }

  /** Writes a line to it. */
  tell(text: string): void {
    this.#process.stdin.write(`${text}\n`);
  }

  /** Writes to it, and says that there will be no more. */
  endInput(text = ''): void {
    this.#process.stdin.end(text);
  }

  /** Reads no more of its output: what it prints from now on fails with EPIPE. */
  leaveOutput(): void {
    this.#process.stdout.destroy();
    this.#process.stderr.destroy();
  }

  /** @throws Error if it has ended, with what it printed */
  demandRunning(): void {
    if (this.#isClosed) throw new Error(`ended too early: ${this.output}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** The exit code, once it has ended and all of its output is here; null if a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.exitCode;
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#closed;
  }

  async #until<T>(find: () => T | null, what: string): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== null) return found;
      if (this.#isClosed) throw new Error(`ended without ${what}: ${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
