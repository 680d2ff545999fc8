import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import type { BackendSetup } from './backend-setup.js';

const PROGRAM = fileURLToPath(new URL('./backend.js', import.meta.url));

/** Backends in one process of their own. */
export interface Backends {
  readonly child: Child;
  /** The primary's first. */
  readonly ports: readonly number[];
}

export async function startBackends(setup: BackendSetup): Promise<Backends> {
  const child = Child.start(process.execPath, [PROGRAM, JSON.stringify(setup)]);
  return { child, ports: JSON.parse(await child.line()) };
}
