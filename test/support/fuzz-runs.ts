import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { heldBytes } from '../../lib/port/account.js';
import { ProxyCall } from '../../lib/proxy/proxy-call.js';
import { ClientRole } from '../../lib/transport/frames/client-role.js';
import { ServerRole } from '../../lib/transport/frames/server-role.js';
import { FrameStream } from '../../lib/transport/frames/stream/stream.js';
import { countObjects } from './count-objects.js';
import { Random } from './random.js';
import { within } from './within.js';

/** `FUZZ_SEED` does a run once more that failed; `FUZZ_RUNS` and `FUZZ_SECONDS` make it longer. */
const firstSeed = Number(process.env.FUZZ_SEED ?? Math.trunc(Math.random() * 2 ** 31));
const seconds = Number(process.env.FUZZ_SECONDS ?? 0);
/** Who has this many runs by default gets all of the seconds; who has fewer gets fewer. */
export const FULL_RUNS = 60;
/** More is wanted than what every test run can wait for. */
export const IS_LONG = process.env.FUZZ_RUNS !== undefined || seconds > 0;
/** Longer than all that a run itself bounds. */
const RUN_MILLISECONDS = 40_000;

/**
 * Runs something with one seed after the other, in some lanes at a time. What fails says by which seed.
 *
 * @returns how many runs there were
 */
export async function fuzz(
  t: Test,
  runs: number,
  lanes: number,
  run: (random: Random, lane: number) => Promise<void>,
): Promise<number> {
  if (IS_LONG) t.setTimeout(0);
  const most = Number(process.env.FUZZ_RUNS ?? (seconds > 0 ? Infinity : runs));
  const until = seconds > 0 ? performance.now() + (seconds * 1000 * runs) / FULL_RUNS : Infinity;
  let next = 0;
  let failed = false;
  async function lane(index: number): Promise<void> {
    while (!failed && next < most && performance.now() < until) {
      const seed = firstSeed + next++;
      try {
        await within(RUN_MILLISECONDS, 'a run', run(new Random(seed), index));
      } catch (error) {
        failed = true;
        throw new Error(`FUZZ_SEED=${seed} FUZZ_RUNS=1: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  const settled = await Promise.allSettled(Array.from({ length: lanes }, (_, i) => lane(i)));
  for (const result of settled) if (result.status === 'rejected') throw result.reason;
  // What the test asserts of all runs may fail, too.
  t.comment(`FUZZ_SEED=${firstSeed} FUZZ_RUNS=${next}`);
  return next;
}

const COUNTED = { ProxyCall, FrameStream, ClientRole, ServerRole };

export type Held = Record<keyof typeof COUNTED | 'heldBytes', number>;

/**
 * How many objects of calls and connections of the engine there are, and bytes that it holds, once there are as many
 * as there should be, or the time is up. Slow.
 */
export async function countHeld(expected: Held, milliseconds: number): Promise<Held> {
  const until = performance.now() + milliseconds;
  const held = { ...expected };
  for (const name of Object.keys(COUNTED) as (keyof typeof COUNTED)[]) {
    held[name] = countObjects(COUNTED[name]);
    // A socket is no longer counted as open some time before its connection hears of it.
    while (held[name] !== expected[name] && performance.now() < until) {
      await sleep(10);
      held[name] = countObjects(COUNTED[name]);
    }
  }
  held.heldBytes = heldBytes();
  return held;
}

/**
 * Waits until no more sockets are open than this: those that ended on an error linger for their peers. Those that keep
 * no process alive, as a client's idle connections, don't count.
 */
export async function socketsClosed(most: number): Promise<void> {
  const isSocket = (name: string) => name === 'TCPSocketWrap';
  while (process.getActiveResourcesInfo().filter(isSocket).length > most) await sleep(10);
}
