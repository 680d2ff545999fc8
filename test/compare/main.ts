import { parseArgs } from 'node:util';
import type { TransportName } from '../../lib/index.js';
import { TRANSPORTS } from '../support/transports.js';
import { type Judgement, judgeIdentical, judgePlantedInCall, judgePlantedInStream } from './judge.js';

/**
 * Compares two identical backends under load, which must show no difference, and then plants one:
 *
 *     node dist/test/compare/main.js [--calls N] [--concurrency N] [--seed S] [--transport http2|frames]…
 *
 * Without --transport all pairs of them; with it those where both sides have it. The exit code is 1 if something is
 * wrong.
 */

const PLANTED_IN = 10_000;
const SHOWN_OBJECTIONS = 10;

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '100000' },
    concurrency: { type: 'string', default: '64' },
    seed: { type: 'string', default: '1' },
    transport: { type: 'string', multiple: true },
  },
});

function show({ name, compared, objections }: Judgement, pair: string): void {
  const { verdicts, milliseconds } = compared;
  const rate = Math.round((1000 * verdicts) / milliseconds);
  console.log(`${objections.length === 0 ? 'PASS' : 'FAIL'}  ${pair}  ${name}: ${rate} a second`);
  for (const objection of objections.slice(0, SHOWN_OBJECTIONS)) console.log(`      ${objection}`);
  if (objections.length > 0) process.exitCode = 1;
}

for (const transports of TRANSPORTS) {
  const { server, client } = transports;
  const isWanted = (name: TransportName) => values.transport?.includes(name) ?? true;
  if (!isWanted(server) || !isWanted(client)) continue;
  const pair = `${server} to ${client}`;
  const { calls, concurrency, seed } = values;
  const load = { calls: Number(calls), concurrency: Number(concurrency), seed: Number(seed), transports };
  show(await judgeIdentical(load), pair);
  show(await judgePlantedInStream(load, PLANTED_IN), pair);
  show(await judgePlantedInCall({ ...load, calls: PLANTED_IN }), pair);
}
