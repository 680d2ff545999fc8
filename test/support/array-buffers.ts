import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** The octets of buffers that somebody holds. */
export async function arrayBufferBytes(): Promise<number> {
  // Twice, with a turn in between: array buffers are swept after the collection that finds them dead.
  for (let i = 0; i < 2; i++) {
    collectGarbage();
    await turn();
  }
  return process.memoryUsage().arrayBuffers;
}
