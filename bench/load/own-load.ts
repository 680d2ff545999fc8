import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import type { Load } from './traffic.js';

const PROGRAM = fileURLToPath(new URL('./generator.js', import.meta.url));

/** The load generator of this directory, in a process of its own: for everything, and it checks each call. */
export const ownLoad: Load = {
  name: 'own',
  async run(traffic, destination, amount) {
    const child = Child.start(process.execPath, [PROGRAM, JSON.stringify({ traffic, destination, amount })]);
    return JSON.parse(await child.output());
  },
};
