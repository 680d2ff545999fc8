import { setTimeout as sleep } from 'node:timers/promises';
import type { TransportName } from '../../lib/index.js';
import { Random } from '../support/random.js';
import type { Backend } from './backend.js';
import type { Balancer } from './balancers.js';
import { Belongings } from './belongings.js';
import type { Account, Failure } from './load.js';
import { FIRST_ROUTING, PHASES } from './phases.js';
import { Stage } from './stage.js';

export interface RolloutOptions {
  readonly seed: number;
  readonly transport: TransportName;
  readonly isShort: boolean;
  readonly log: (what: string) => void;
}

/** What came of it. */
export interface RolloutResult {
  readonly transport: TransportName;
  /** By phase, and in each by client. */
  readonly accounts: readonly Account[];
  readonly failures: readonly Failure[];
  /** Calls that backends have answered, by phase. */
  readonly served: ReadonlyMap<string, number>;
  readonly balancers: readonly Balancer[];
  /** What took no part, and why. */
  readonly absent: readonly string[];
  /** What else is wrong; nothing if all is as it should be. */
  readonly objections: readonly string[];
  readonly seconds: number;
}

const LONG = { callsPerSecond: 100, longestStream: 40, steadyMilliseconds: 8000 };
const SHORT = { callsPerSecond: 60, longestStream: 12, steadyMilliseconds: 200, balancers: ['HAProxy'] };

/** Rolls everything there is to roll, under load, and keeps account of every call. */
export async function rollOut(options: RolloutOptions): Promise<RolloutResult> {
  const { seed, transport, isShort, log } = options;
  const { steadyMilliseconds, ...rest } = isShort ? SHORT : LONG;
  const random = new Random(seed);
  const belongings = new Belongings();
  belongings.endOnSignals();
  const startedAt = performance.now();
  const objections: string[] = [];
  try {
    const stage = await Stage.set(belongings, { seed, transport, ...rest }, FIRST_ROUTING);
    try {
      for (const phase of PHASES) {
        log(phase.name);
        await stage.begin(phase.name, phase.losesCalls === true);
        await sleep(steadyMilliseconds);
        await phase.act(stage, { random, isShort });
        await sleep(steadyMilliseconds);
      }
    } catch (error) {
      // What became of the calls until then may say why.
      objections.push((error as Error).message);
    }
    log('the end');
    const { accounts, failures } = await stage.stop();
    const served = servedBy(stage.backends);
    objections.push(...judge(accounts, served));
    return {
      transport,
      accounts: PHASES.flatMap(({ name }) => accounts.filter(({ phase }) => phase === name)),
      failures,
      served,
      balancers: stage.balancers,
      absent: stage.absent,
      objections,
      seconds: (performance.now() - startedAt) / 1000,
    };
  } finally {
    await belongings.end();
  }
}

/** What does not add up. */
function judge(accounts: readonly Account[], served: ReadonlyMap<string, number>): string[] {
  return PHASES.flatMap(({ name, losesCalls }) => {
    const own = accounts.filter(({ phase }) => phase === name);
    const ok = own.reduce((sum, account) => sum + account.ok, 0);
    const answered = served.get(name) ?? 0;
    if (answered === ok || (answered > ok && losesCalls)) return [];
    return [`"${name}": backends have answered ${answered} calls, and clients have ${ok} answers`];
  });
}

/** The calls that backends have answered, by phase. */
function servedBy(backends: readonly Backend[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { served } of backends) {
    for (const [phase, calls] of served) sums.set(phase, (sums.get(phase) ?? 0) + calls);
  }
  return sums;
}
