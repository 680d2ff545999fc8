import { createHook } from 'node:async_hooks';
import { heldBytes } from '../../lib/port/account.js';

/**
 * What holds a socket, a listening one or a timer. `process.getActiveResourcesInfo()` does not list those that keep no
 * process alive, and of that kind are all of the product's timers.
 */
const KINDS = new Set(['Timeout', 'TCPWRAP', 'TCPSERVERWRAP', 'PIPEWRAP']);

/** Where timers are made that are one for the whole process, and end by themselves when they are not needed. */
const SHARED = /client[/]sent-data/;

class Resource {
  #isShared: boolean | undefined;

  constructor(readonly madeAt: Error) {}

  /** Whether it is no call's or connection's own. */
  get isShared(): boolean {
    this.#isShared ??= SHARED.test(this.madeAt.stack ?? '');
    return this.#isShared;
  }
}

const live = new Map<number, Resource>();

let uncounted = 0;

/** Counts from now on: what there was before is nobody's. */
export function countResources(): void {
  createHook({
    init(id, kind) {
      if (KINDS.has(kind) && uncounted === 0) live.set(id, new Resource(new Error(kind)));
    },
    destroy(id) {
      live.delete(id);
    },
  }).enable();
}

/** Runs something whose timers are the harness's own. */
export function withoutCounting<T>(make: () => T): T {
  uncounted++;
  try {
    return make();
  } finally {
    uncounted--;
  }
}

/** Those that there are, without those that there were before. */
export class Resources {
  readonly #before = new Set(live.keys());

  /** Waits until nothing is left of what was made since; those that end on an error linger for their peers. */
  async gone(): Promise<void> {
    while (this.#left().length > 0 || heldBytes() !== 0) {
      await withoutCounting(() => new Promise((resolve) => setTimeout(resolve, 1)));
    }
  }

  /** What is left, and where it was made. */
  describe(): string {
    const left = this.#left().map(({ madeAt }) => madeAt.stack);
    return [`${heldBytes()} bytes and ${left.length} resources are held`, ...left].join('\n');
  }

  #left(): Resource[] {
    const left = [...live].filter(([id]) => !this.#before.has(id)).map(([, resource]) => resource);
    const shared = left.filter(({ isShared }) => isShared);
    return shared.length > 1 ? left : left.filter(({ isShared }) => !isShared);
  }
}
