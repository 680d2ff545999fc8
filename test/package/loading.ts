import assert from 'node:assert/strict';
import { join } from 'node:path';
import { entryPackages } from './entry-packages.js';
import type { Manifest } from './manifest.js';
import { run, runNode } from './run.js';

const MAX_PACKAGES = 3;
const MAX_MILLISECONDS = 60;

/** What Node's own modules below take, in milliseconds, where a machine is as fast as it mostly is: slower ones have more time. */
const USUAL_REFERENCE = 12;

/** How often it is measured, and how often this is done again: others may use the machine. */
const ROUNDS = 9;
const ATTEMPTS = 3;

/** Lets a program run before all others where this user may: else a busy machine is measured. */
const UNDISTURBED = ['chrt', '--fifo', '80'];

const IMPORT = `
  const start = performance.now();
  await import('grpc-frame-proxy');
  console.log(performance.now() - start);
`;

const REFERENCE = `
  const start = performance.now();
  for (const name of ['http2', 'tls', 'dns/promises', 'cluster', 'zlib']) await import('node:' + name);
  console.log(performance.now() - start);
`;

/** Told to Node before anything else is loaded: names the packages of what is loaded then, on exit. */
const TELL_PACKAGES = `
  import { createRequire, register } from 'node:module';
  const { cache } = createRequire(import.meta.url);
  const { port1, port2 } = new MessageChannel();
  const loaded = [];
  port1.on('message', (url) => loaded.push(url)).unref();
  const hooks = \`
    let port;
    export const initialize = (data) => { port = data; };
    export const load = (url, context, next) => { port.postMessage(url); return next(url, context); };
  \`;
  register('data:text/javascript,' + encodeURIComponent(hooks), { data: port2, transferList: [port2] });
  await import('grpc-frame-proxy');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const names = [...loaded, ...Object.keys(cache)].map((path) => /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(path)?.[1]);
  console.log(JSON.stringify([...new Set(names)].filter((name) => name && name !== 'grpc-frame-proxy').sort()));
`;

/** Whoever imports the package loads few others, and those of other entry points only by these. */
export async function checkPackages(project: string, manifest: Manifest): Promise<string> {
  const { loaded, expected } = entryPackages(join(project, 'node_modules', manifest.name), manifest);
  assert.deepEqual(loaded, expected);
  const told = await runNode(project, '--input-type=module', '--eval', TELL_PACKAGES);
  const packages = JSON.parse(told) as string[];
  if (packages.length > MAX_PACKAGES || !packages.includes('http2-wrapper')) {
    throw new Error(`loads ${packages.join(', ')}`);
  }
  return packages.join(', ');
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)]!;
}

/** Importing the package does not take long. */
export async function checkImportTime(project: string): Promise<string> {
  const undisturbed = await run(project, UNDISTURBED[0]!, ...UNDISTURBED.slice(1), 'true').then(
    () => UNDISTURBED,
    () => [],
  );
  const timeOf = async (code: string): Promise<number> => {
    const [program, ...words] = [...undisturbed, process.execPath, '--input-type=module', '--eval', code];
    return Number(await run(project, program!, ...words));
  };
  const told: string[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const times: number[] = [];
    const references: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      references.push(await timeOf(REFERENCE));
      times.push(await timeOf(IMPORT));
    }
    const [time, reference] = [median(times), median(references)];
    told.push(`${time.toFixed(0)} ms, where a part of Node takes ${reference.toFixed(0)} ms`);
    if (time < MAX_MILLISECONDS * Math.max(1, reference / USUAL_REFERENCE)) return told.at(-1)!;
  }
  throw new Error(`${told.join('; ')}: it must be below ${MAX_MILLISECONDS} ms on a machine as fast as most`);
}
