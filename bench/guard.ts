import { CASES } from './cases.js';
import { medianRatio } from './measure/summary.js';
import { allPeers, REFERENCE } from './peers/all-peers.js';
import { TextProgress } from './progress.js';
import { run } from './run.js';

/**
 * The most CPU per call, over the floor's in the same round, that this proxy may take for small unary calls. Far
 * enough above what it takes that a busy machine passes, near enough that one more pass over the streams of
 * node:http2 does not.
 */
const BOUND = Number(process.env.BENCH_GUARD_BOUND ?? 1.35);

const ROUNDS = 7;
const SECONDS = 0.8;
/** A machine that is busy with something else can spoil a run; not that often in a row. */
const ATTEMPTS = 2;

const cases = CASES.filter(({ name }) => name === 'unary');
const peers = allPeers({ node: process.execPath, profileDirectory: undefined }).filter(
  ({ name }) => name === REFERENCE || name === 'floor',
);

/** What is wrong, if anything is. */
async function regression(): Promise<string | undefined> {
  const progress = new TextProgress();
  const cells = await run({ cases, peers, rounds: ROUNDS, seconds: SECONDS, load: 'own' }, progress);
  progress.done();
  const samplesOf = (name: string) => cells.find(({ peer }) => peer.name === name)?.samples;
  const ours = samplesOf(REFERENCE);
  const floor = samplesOf('floor');
  if (ours === undefined || floor === undefined) return 'a proxy did not start';
  const failed = ours.reduce((sum, sample) => sum + sample.failed, 0);
  if (failed > 0) return `${failed} calls failed`;
  const ratio = medianRatio(ours, floor);
  const figures = `${ratio.toFixed(2)} × the floor's CPU per call, at most ${BOUND} ×`;
  if (ratio > BOUND) return figures;
  console.log(`bench:guard: ${figures}`);
  return undefined;
}

let problem: string | undefined;
for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
  problem = await regression();
  if (problem === undefined) break;
}
if (problem !== undefined) {
  console.error(`bench:guard: ${problem}`);
  process.exitCode = 1;
}
