import { parseArgs } from 'node:util';
import type { TransportName } from '../../lib/index.js';
import { ATTACKS, attackOf } from './all.js';
import type { Attack } from './attack.js';
import { sum } from './lab/experience.js';
import { heldGrowth, mebibytes, runTrial, type Trial } from './trial.js';

/**
 * Attacks a proxy, with a victim beside, and says what the victim noticed and what was left behind:
 *
 *     node dist/test/attacks/main.js [--attack NAME]… [--transport http2|frames]… [--seconds N] [--seed S] [--list]
 *
 * Without --attack all of them, without --transport on both. The exit code is 1 if one failed.
 */

const TRANSPORTS: readonly TransportName[] = ['http2', 'frames'];

const HEADINGS = [
  'attack'.padEnd(26),
  'transport',
  'calls OK',
  'streams lost',
  'p99 quiet/attack ms'.padStart(20),
  'RSS before/peak/10 s/gc'.padStart(23),
  'held'.padStart(5),
  'fds'.padStart(11),
  'result',
];

function line({ attack, transport, quiet, during, measures, objections, connections }: Trial): string {
  const { before, peak, after, afterCollected } = measures;
  const rss = [before.rss, peak.peakRss, after.rss, afterCollected.rss];
  const opened = Object.entries(connections).map(([name, count]) => `${count} to ${name}`);
  return [
    attack.name.padEnd(26),
    transport.padEnd(9),
    `${floor2(during.successPercent)}%`.padStart(8),
    String(sum(during.streamFailures)).padStart(12),
    `${quiet.latency(0.99).toFixed(1)}/${during.latency(0.99).toFixed(1)}`.padStart(20),
    rss.map(mebibytes).join('/').padStart(23),
    mebibytes(heldGrowth(measures)).padStart(5),
    `${before.fds}/${peak.fds}/${after.fds}`.padStart(11),
    objections.length === 0 ? 'PASS' : `FAIL ${objections.join('; ')}`,
    opened.length === 0 ? '' : `[opened ${opened.join(', ')}]`,
  ].join('  ');
}

function transportOf(text: string): TransportName {
  const transport = TRANSPORTS.find((name) => name === text);
  if (transport === undefined) throw new TypeError(`--transport must be http2 or frames, not ${text}`);
  return transport;
}

/** Not rounded up to 100. */
function floor2(percent: number): string {
  return (Math.floor(percent * 100) / 100).toFixed(percent === 100 ? 0 : 2);
}

/** Runs a trial and prints what came of it; resolves with whether it passed. */
async function report(
  attack: Attack,
  transport: TransportName,
  options: { readonly seconds: number; readonly seed: number; readonly isVerbose: boolean },
): Promise<boolean> {
  let trial: Trial;
  try {
    trial = await runTrial(attack, transport, options.seconds, options.seed);
  } catch (error) {
    // The proxy has ended, for example: the next has one of its own.
    const { stack } = error as Error;
    process.stdout.write(
      `${attack.name.padEnd(26)}  ${transport.padEnd(9)}  FAIL the trial broke off: ${stack}\n`,
    );
    return false;
  }
  process.stdout.write(`${line(trial)}\n`);
  if (options.isVerbose) {
    process.stdout.write(`    ${attack.description}: ${trial.did}\n    ${JSON.stringify(trial.measures)}\n`);
  }
  return trial.objections.length === 0;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      attack: { type: 'string', multiple: true },
      transport: { type: 'string', multiple: true },
      seconds: { type: 'string', default: '6' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
      list: { type: 'boolean' },
      verbose: { type: 'boolean' },
    },
  });
  if (values.list === true) {
    for (const { name, description } of ATTACKS) process.stdout.write(`${name.padEnd(26)}  ${description}\n`);
    return;
  }
  const attacks = values.attack?.map(attackOf) ?? ATTACKS;
  const transports = (values.transport ?? TRANSPORTS).map(transportOf);
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  process.stdout.write(`seed ${seed}, ${seconds} s each\n${HEADINGS.join('  ')}\n`);
  let failed = 0;
  for (const transport of transports) {
    for (const attack of attacks) {
      if (!(await report(attack, transport, { seconds, seed, isVerbose: values.verbose === true }))) failed++;
    }
  }
  process.stdout.write(`${failed} of ${attacks.length * transports.length} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
