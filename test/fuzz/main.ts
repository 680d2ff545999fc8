import { writeFileSync } from 'node:fs';
import { Random } from '../support/random.js';
import { type Options, parseOptions, USAGE } from './options.js';
import { Tally } from './report.js';
import { type Run, runOnce } from './run.js';

/** What a seed means: its run, among those that may be. */
function runOf(seed: number, { models, settings }: Options): Run {
  const runs = models.flatMap((model) =>
    settings.filter((setting) => model.appliesTo?.(setting) ?? true).map((setting) => ({ model, setting })),
  );
  if (runs.length === 0) throw new TypeError('none of these models is for one of these transports');
  return { ...new Random(seed).pick(runs), seed };
}

async function main(options: Options): Promise<void> {
  console.log(`seed ${options.seed}`);
  const tally = new Tally(options.seed);
  const until = performance.now() + options.minutes * 60_000;
  for (let i = 0; i < options.runs && performance.now() < until; i++) {
    const run = runOf((options.seed + i) % 2 ** 32, options);
    const startedAt = performance.now();
    try {
      await runOnce(run);
    } catch (error) {
      const { message } = error as Error;
      console.error(`\nFAILED ${message}`);
      tally.failures.push({ run, message });
      process.exitCode = 1;
    }
    tally.add(run, performance.now() - startedAt);
    if (tally.failures.length > 0 && !options.keepGoing) break;
  }
  console.log(`\n${tally.table()}\n\n${tally.summary()}`);
  if (options.report !== undefined) writeFileSync(options.report, tally.report());
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
