import { CASES } from './cases.js';
import { summarize } from './measure/summary.js';
import { type Options, parseOptions, selected, USAGE } from './options.js';
import { allPeers, REFERENCE } from './peers/all-peers.js';
import type { Peer } from './peers/peer.js';
import { TextProgress } from './progress.js';
import { keep } from './report/keep.js';
import { machine } from './report/machine.js';
import { table } from './report/table.js';
import { run } from './run.js';

async function main(options: Options): Promise<void> {
  const progress = new TextProgress();
  const chosen = selected(
    'peer',
    allPeers({ node: options.node, profileDirectory: options.profileDirectory }, options.libraries),
    options.peers,
  );
  const missing: string[] = [];
  const peers = chosen.filter((peer: Peer) => {
    const why = peer.missing();
    if (why !== undefined) missing.push(`${peer.name}: ${why}`);
    return why === undefined;
  });
  for (const text of missing) progress.note(`missing: ${text}`);
  const cases = selected('case', CASES, options.cases);
  const cells = await run({ ...options, cases, peers }, progress);
  progress.done();
  const results = {
    machine: machine(options.node),
    rounds: options.rounds,
    seconds: options.seconds,
    missing,
    cases: cases.map(({ name, title }) => ({ name, title })),
    summaries: summarize(cells, REFERENCE),
    samples: cells.map(({ case: { name }, peer, samples }) => ({ case: name, peer: peer.name, samples })),
  };
  console.log(table(results));
  if (!options.dry) console.log(`kept: ${keep(results, options.json).join(', ')}`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) console.log(USAGE);
  else await main(options);
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
