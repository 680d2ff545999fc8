import { parseArgs } from 'node:util';
import type { TransportName } from '../../lib/index.js';
import { missingNetwork } from './network.js';
import { isProven, reportOf } from './report.js';
import { type RolloutOptions, rollOut } from './rollout.js';

/**
 * Proves that nothing is lost while everything is rolled: replicas of the command behind balancers, backends, configs,
 * certificates, names and workers change under load, and each call is accounted for:
 *
 *     npm run proof -- rollout [--short] [--seed S] [--transport http2|frames]
 *
 * The exit code is 1 if a call has failed, or was answered twice. The seed tells which calls are made, and which workers are killed.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean', default: false },
    seed: { type: 'string' },
    transport: { type: 'string', default: 'frames' },
  },
});

function optionsOf(): RolloutOptions {
  const seed = values.seed === undefined ? Date.now() % 2 ** 32 : Number(values.seed);
  const transport = values.transport as TransportName;
  if (positionals.length !== 1 || positionals[0] !== 'rollout') {
    throw new TypeError('what to prove must be told: rollout');
  }
  if (!Number.isInteger(seed)) throw new TypeError(`--seed must be an integer, not ${values.seed}`);
  if (transport !== 'http2' && transport !== 'frames') {
    throw new TypeError(`--transport must be http2 or frames, not ${String(transport)}`);
  }
  const startedAt = performance.now();
  const log = (what: string): void => {
    process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s: ${what}\n`);
  };
  return { seed, transport, isShort: values.short, log };
}

const missing = missingNetwork();
if (missing !== false) throw new Error(missing);
const options = optionsOf();
process.stdout.write(`rollout on ${options.transport}, --seed ${options.seed}\n`);
const result = await rollOut(options);
process.stdout.write(`\n${reportOf(result)}`);
process.exitCode = isProven(result) ? 0 : 1;
