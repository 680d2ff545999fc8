import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import type { Transports } from './behaviour.js';
import type { Measures } from './proxy-process.js';
import { within } from './within.js';

/** The proxy of proxy-process.ts, as a child of the test. */
export class ForkedProxy {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** @param ports of the primary and the secondaries */
  static async start(t: Test, { server, client }: Transports, ...ports: number[]): Promise<ForkedProxy> {
    const script = new URL('./proxy-process.js', import.meta.url);
    const child = fork(script, [server, client, ...ports.map(String)], { execArgv: ['--expose-gc'] });
    t.teardown(() => child.kill('SIGKILL'));
    const [address] = await once(child, 'message');
    return new ForkedProxy(child, (address as { port: number }).port);
  }

  async measure(): Promise<Measures> {
    return (await this.#ask('measure')) as Measures;
  }

  /** How many objects there are of each class whose objects belong to one call. Slow. */
  async count(): Promise<Record<string, number>> {
    return (await this.#ask('count')) as Record<string, number>;
  }

  /** Closes what the proxy has open; resolves with the exit code of the process, which is left to end by itself. */
  async close(milliseconds: number): Promise<number> {
    const exited = once(this.#child, 'exit');
    this.#child.send('close');
    const [code] = await within(milliseconds, 'the exit of the process', exited);
    return code as number;
  }

  async #ask(question: string): Promise<unknown> {
    this.#child.send(question);
    return (await once(this.#child, 'message'))[0];
  }
}
