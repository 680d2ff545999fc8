import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';

const WAIT_MILLISECONDS = 10_000;

/** None may outlive the benchmark, however that ends. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** A process that the benchmark starts and ends. */
export class Child {
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  #open = true;
  #stdout = '';
  #stderr = '';

  private constructor(process: ChildProcess) {
    this.#process = process;
    running.add(process);
    this.#closed = once(process, 'close').then(() => {
      this.#open = false;
      running.delete(process);
    });
    // `close` follows; what is wrong (ENOENT, say) is told by whoever waits for the process.
    process.on('error', (error) => {
      this.#stderr += error.message;
    });
    process.stdout?.on('data', (text) => {
      this.#stdout += text;
    });
    process.stderr?.on('data', (text) => {
      // Enough to tell why it ended; a process that complains at every call must not fill our memory.
      if (this.#stderr.length < 4096) this.#stderr += text;
    });
  }

  static start(command: string, commandArguments: readonly string[]): Child {
    return new Child(spawn(command, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The first line that it prints. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#stdout.indexOf('\n');
      if (end >= 0) return this.#stdout.slice(0, end);
      if (!this.#open) throw this.#error();
      await Promise.race([once(this.#process.stdout!, 'data'), this.#closed]);
    }
  }

  /** All that it prints, once it has ended, by force if that takes too long. */
  async output(withinMilliseconds: number): Promise<string> {
    const timer = setTimeout(() => {
      this.#stderr += `still running after ${withinMilliseconds} ms`;
      this.#process.kill('SIGKILL');
    }, withinMilliseconds);
    await this.#closed;
    clearTimeout(timer);
    if (this.#process.exitCode !== 0) throw this.#error();
    return this.#stdout;
  }

  /** Resolves when somebody listens at the port. */
  async listening(port: number): Promise<void> {
    const giveUp = performance.now() + WAIT_MILLISECONDS;
    while (!(await accepts(port))) {
      if (!this.#open) throw this.#error();
      if (performance.now() > giveUp)
        throw new Error(`${this.#process.spawnfile} does not listen at ${port}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends it, by force if it does not go. */
  async stop(): Promise<void> {
    if (!this.#open) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 3_000);
    await this.#closed;
    clearTimeout(timer);
  }

  #error(): Error {
    const { spawnargs, exitCode, signalCode } = this.#process;
    return new Error(`${spawnargs.join(' ')} ended (${signalCode ?? exitCode}): ${this.#stderr.trim()}`);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port that nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
