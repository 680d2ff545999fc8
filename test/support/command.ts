import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

/** The command, as a process. */
export class Command {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  /** Resolves when the process has ended and all its output is here. */
  readonly #closed: Promise<unknown>;
  #open = true;

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#closed = once(this.process, 'close').then(() => {
      this.#open = false;
    });
    this.process.stdout?.on('data', (text) => {
      this.stdout += text;
    });
    this.process.stderr?.on('data', (text) => {
      this.stderr += text;
    });
  }

  /** The port of the first address in the line that says that it is ready. */
  async port(): Promise<number> {
    const match = await this.printed(/listens at [^ ]*?:(\d+)[,;]/);
    return Number(match[1]);
  }

  /** Resolves when the output matches; rejects if the process ends before. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match !== null) return match;
      if (!this.#open) throw new Error(`ended without ${pattern}: ${this.stderr}`);
      await Promise.race([once(this.process.stdout!, 'data'), this.#closed]);
    }
  }

  /** Its exit code, once it has ended. */
  async exit(): Promise<number | null> {
    await this.#closed;
    return this.process.exitCode;
  }

  destroy(): void {
    this.process.kill('SIGKILL');
  }
}
