import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { Child } from './child.js';
import type { Measures, ProxySettings } from './proxy-process.js';
import { within } from './within.js';

const SCRIPT = fileURLToPath(new URL('./proxy-process.js', import.meta.url));

/** The proxy of proxy-process.ts, as a child of the test. */
export class ProxyChild {
  private constructor(
    readonly child: Child,
    readonly port: number,
  ) {}

  static async start(t: Test, settings: ProxySettings): Promise<ProxyChild> {
    const child = Child.node(t, '--expose-gc', SCRIPT, JSON.stringify(settings));
    const { port } = await child.line({ event: 'listening' });
    return new ProxyChild(child, Number(port));
  }

  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  async measure(): Promise<Measures> {
    this.child.tell('measure');
    return (await this.child.line({ event: 'measured' })).measures as Measures;
  }

  /** How many objects there are of each class whose objects belong to one call. Slow. */
  async count(): Promise<Record<string, number>> {
    this.child.tell('count');
    return (await this.child.line({ event: 'counted' })).counts as Record<string, number>;
  }

  /** Closes what the proxy has open; resolves with the exit code of the process, which is left to end by itself. */
  async close(milliseconds: number): Promise<number | null> {
    this.child.signal('SIGTERM');
    return within(milliseconds, 'the exit of the process', this.child.ended());
  }
}
