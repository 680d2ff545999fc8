import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import type { TransportName } from '../../lib/index.js';
import { reportOf } from './report.js';
import { Soak, type SoakOptions } from './soak.js';

/**
 * All that may befall a proxy, at once, with honest clients beside whose every call is accounted for:
 *
 *     npm run soak -- --minutes N [--seed S] [--transport http2|frames] [--report FILE] [--verbose]
 *
 * The exit code is 1 at any violation. The seed tells what is done, and when; what comes of it depends on the machine.
 */
function optionsOf(values: Readonly<Record<string, string | boolean | undefined>>): SoakOptions {
  const minutes = Number(values.minutes);
  const seed = values.seed === undefined ? Date.now() % 2 ** 32 : Number(values.seed);
  const transport = values.transport as TransportName;
  if (!(minutes > 0)) throw new TypeError(`--minutes must be above 0, not ${values.minutes}`);
  if (!Number.isInteger(seed)) throw new TypeError(`--seed must be an integer, not ${values.seed}`);
  if (transport !== 'http2' && transport !== 'frames') {
    throw new TypeError(`--transport must be http2 or frames, not ${String(transport)}`);
  }
  const startedAt = performance.now();
  const log = (what: string): void => {
    if (values.verbose !== true) return;
    process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${what}\n`);
  };
  return { minutes, seed, transport, log };
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    seed: { type: 'string' },
    transport: { type: 'string', default: 'http2' },
    report: { type: 'string' },
    verbose: { type: 'boolean' },
  },
});
const options = optionsOf(values);
process.stdout.write(`soak of ${options.minutes} minutes on ${options.transport}, --seed ${options.seed}\n`);
const result = await new Soak(options).run();
const report = reportOf(options, result);
process.stdout.write(report);
if (values.report !== undefined) {
  mkdirSync(dirname(values.report), { recursive: true });
  writeFileSync(values.report, report);
}
process.exitCode = result.violations.length === 0 ? 0 : 1;
