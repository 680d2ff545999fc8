import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a child is asked, and what it answers: `id` pairs them. */
interface Question {
  readonly id: number;
  readonly ask: unknown;
}

interface Answer {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

const running = new Set<ChildProcess>();

// However this process ends, but by SIGKILL; then they notice that they are disconnected.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(code));
}

/** A process of the laboratory, which can be asked things, and never outlives this one. */
export class Forked {
  /** What it printed to standard error: a process that is in order prints nothing there. */
  stderr = '';
  /** How it ended, other than by {@link kill}. */
  death: string | undefined;
  #isKilled = false;
  #ids = 0;
  readonly #pending = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();

  private constructor(
    readonly name: string,
    readonly child: ChildProcess,
  ) {
    running.add(child);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    child.on('message', (message) => {
      const { id, answer, error } = message as Answer;
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) pending?.resolve(answer);
      else pending?.reject(new Error(`${name}: ${error}`));
    });
    child.on('error', (error) => this.#fail(error));
    child.on('exit', (code, signal) => {
      running.delete(child);
      if (!this.#isKilled) this.death = `${name} ended with ${signal ?? code}`;
      this.#fail(new Error(`${name} ended with ${signal ?? code}: ${this.stderr}`));
    });
  }

  /**
   * Starts a program of this folder that calls {@link answerQuestions}; resolves with what it says when it is ready.
   */
  static async start<T>(
    name: string,
    program: string,
    settings: unknown,
    execArgv: readonly string[] = [],
  ): Promise<[Forked, T]> {
    const child = fork(fileURLToPath(new URL(program, import.meta.url)), [JSON.stringify(settings)], {
      execArgv: ['--enable-source-maps', ...execArgv],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      serialization: 'json',
    });
    const forked = new Forked(name, child);
    return [forked, (await forked.ask('ready')) as T];
  }

  /** Rejects when it ends without an answer. */
  ask(question: unknown): Promise<unknown> {
    const id = this.#ids++;
    return new Promise((resolve, reject) => {
      if (!this.child.connected) {
        reject(new Error(`${this.death ?? `${this.name} is gone`}: ${this.stderr}`));
        return;
      }
      this.#pending.set(id, { resolve, reject });
      const message: Question = { id, ask: question };
      this.child.send(message, (error) => {
        if (error !== null && this.#pending.delete(id)) reject(error);
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#isKilled = true;
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }

  #fail(error: Error): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** In a child: its settings. */
export function settingsOfChild<T>(): T {
  return JSON.parse(process.argv[2]!) as T;
}

/** In a child: answers what it is asked, from `ready` on, and ends with its parent. */
export function answerQuestions(answerTo: (question: unknown) => unknown): void {
  process.on('disconnect', () => process.exit(1));
  process.on('message', async (message) => {
    const { id, ask } = message as Question;
    let answer: Answer;
    try {
      answer = { id, answer: await answerTo(ask) };
    } catch (error) {
      answer = { id, error: (error as Error).stack ?? String(error) };
    }
    if (process.connected) process.send?.(answer);
  });
}
