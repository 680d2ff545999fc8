import { fileURLToPath } from 'node:url';
import { Child, type Parent } from '../support/child.js';
import { within } from '../support/within.js';
import type { BackendSettings } from './backend-process.js';

const PROGRAM = fileURLToPath(new URL('./backend-process.js', import.meta.url));
const PATIENCE_MILLISECONDS = 40_000;

/** A backend in a process of its own, which is ended in order, and started again at the same address. */
export class Backend {
  readonly #parent: Parent;
  readonly #settings: BackendSettings;
  #child: Child | undefined;
  /** What those that have ended had answered, by phase. */
  readonly served = new Map<string, number>();

  constructor(parent: Parent, settings: BackendSettings) {
    this.#parent = parent;
    this.#settings = settings;
  }

  get number(): string {
    return `${this.#settings.number}`;
  }

  async start(): Promise<void> {
    this.#child = Child.node(this.#parent, PROGRAM, JSON.stringify(this.#settings));
    await this.#child.line({ event: 'listening' });
  }

  /** Resolves when its calls have finished, and it has gone. */
  async stop(): Promise<void> {
    const child = this.#child!;
    child.signal('SIGTERM');
    const code = await within(PATIENCE_MILLISECONDS, `the end of backend ${this.number}`, child.ended());
    if (code !== 0) throw new Error(`backend ${this.number} ended with ${code}: ${child.stderr}`);
    const { phases } = await child.line({ event: 'served' });
    for (const [phase, calls] of Object.entries(phases as Record<string, number>)) {
      this.served.set(phase, (this.served.get(phase) ?? 0) + calls);
    }
  }
}
