import assert from 'node:assert/strict';
import { join } from 'node:path';
import { entryPackages } from './entry-packages.js';
import type { Manifest } from './manifest.js';
import { runNode } from './run.js';

const MAX_PACKAGES = 3;
const MAX_MILLISECONDS = 60;

/** How often each is measured. */
const ROUNDS = 9;

/**
 * What a start of Node takes on a machine that does nothing else. On a busy one milliseconds mean little, also those of the CPU,
 * whose caches others use, too.
 */
const NODE_MILLISECONDS = 40;

/** What both print is the CPU that they took, in which nobody waits for others. */
const START = 'console.log(JSON.stringify(process.cpuUsage()))';
const IMPORT = `
  const before = process.cpuUsage();
  await import('grpc-frame-proxy');
  console.log(JSON.stringify(process.cpuUsage(before)));
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

async function measured(project: string, program: string): Promise<number> {
  const told = await runNode(project, '--input-type=module', '--eval', program);
  const { user, system } = JSON.parse(told) as NodeJS.CpuUsage;
  return (user + system) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)]!;
}

/** Importing the package does not take long, beyond the start of Node itself. */
export async function checkImportTime(project: string): Promise<string> {
  const imports: number[] = [];
  const starts: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    starts.push(await measured(project, START));
    imports.push(await measured(project, IMPORT));
  }
  const [taken, start] = [median(imports), median(starts)];
  const comparable = taken * Math.min(1, NODE_MILLISECONDS / start);
  const told =
    `${taken.toFixed(0)} ms of CPU where Node starts in ${start.toFixed(0)} ms, ` +
    `${comparable.toFixed(0)} ms where it starts in ${NODE_MILLISECONDS} ms`;
  if (comparable >= MAX_MILLISECONDS) throw new Error(`${told}, which must be below ${MAX_MILLISECONDS} ms`);
  return told;
}
