import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import {
  type CountedLoad,
  type Destination,
  LOAD_TIMEOUT_MILLISECONDS,
  type LoadResult,
  type TimedLoad,
  type Traffic,
} from './traffic.js';

const PROGRAM = fileURLToPath(new URL('./generator.js', import.meta.url));

/** The load generator of this directory, in a process of its own: for everything, and it checks each call. */
export const ownLoad: CountedLoad & TimedLoad = {
  name: 'own',
  async run(traffic: Traffic, destination: Destination, amount: object): Promise<LoadResult> {
    const child = Child.start(process.execPath, [PROGRAM, JSON.stringify({ traffic, destination, amount })]);
    return JSON.parse(await child.output(LOAD_TIMEOUT_MILLISECONDS));
  },
};
