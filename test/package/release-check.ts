import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { checkCommand, checkCommandLine } from './command.js';
import { checkChangelog, checkCitations } from './documents.js';
import { runExample } from './example.js';
import { checkImportTime, checkPackages } from './loading.js';
import { readManifest } from './manifest.js';
import { run, runNode } from './run.js';
import { checkSize, packTarball, type Tarball } from './tarball.js';
import { checkTypes } from './types.js';

/**
 * Packs the package, installs it as its users do, and tries it there:
 *
 *     npm run release:check
 *
 * The exit code is 1 if it must not be released.
 */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CONSUMERS = fileURLToPath(new URL('consumers/', import.meta.url));

/** What consumers and examples use beside the package. */
const USED = [
  '@grpc/grpc-js',
  '@opentelemetry/api',
  '@opentelemetry/context-async-hooks',
  '@opentelemetry/core',
  '@opentelemetry/sdk-trace-base',
];

// Programs of others begin with `#!/usr/bin/env node`, which must be this one, not what npm finds in a `node_modules`.
process.env.PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;

const manifest = readManifest(ROOT);
const work = mkdtempSync(join(tmpdir(), 'release-check-'));
const project = join(work, 'esm');
let failed = 0;

/** Tells what came of a step, which gives what it has found. */
async function step<T>(name: string, take: () => T | Promise<T>): Promise<T | undefined> {
  const start = performance.now();
  let told: string;
  let result: T | undefined;
  try {
    result = await take();
    told = `ok: ${name}${typeof result === 'string' ? `: ${result}` : ''}`;
  } catch (error) {
    failed++;
    told = `FAILED: ${name}: ${(error as Error).message}`;
  }
  process.stdout.write(`${told} (${((performance.now() - start) / 1000).toFixed(1)} s)\n`);
  return result;
}

/** A project of its own in ESM, where the package is installed, and one in CommonJS that uses what is there. */
async function install({ path }: Tarball): Promise<string> {
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  const needs = USED.map((name) => `${name}@${readManifest(join(ROOT, 'node_modules', name)).version}`);
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel', 'error'];
  await run(project, 'npm', 'install', ...quiet, path, ...needs);
  mkdirSync(join(work, 'commonjs'));
  writeFileSync(join(work, 'commonjs/package.json'), '{ "private": true }');
  symlinkSync(join(project, 'node_modules'), join(work, 'commonjs/node_modules'));
  return `${readdirSync(join(project, 'node_modules')).length} folders in node_modules`;
}

/** Whether this Node lets CommonJS require ESM: 20.19, 22.12 and whatever is newer than both do. */
function canRequire(): boolean {
  return 'require_module' in process.features;
}

async function runConsumer(name: string, folder: string, expected: string): Promise<void> {
  cpSync(join(CONSUMERS, name), join(folder, name));
  const told = await runNode(folder, '--throw-deprecation', name);
  if (!told.includes(expected)) throw new Error(`${name} says ${told}`);
}

async function lint({ path }: Tarball): Promise<void> {
  const { messages, pkg } = await publint({
    pkgDir: join(project, 'node_modules', manifest.name),
    strict: true,
    pack: false,
  });
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join('\n'));
  const attw = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js');
  await runNode(work, attw, '--profile', 'esm-only', '--no-emoji', '--no-color', path);
}

async function check(tarball: Tarball): Promise<void> {
  const installed = join(project, 'node_modules', manifest.name);
  const tracked = new Set((await run(ROOT, 'git', 'ls-files')).split('\n'));
  await step('size', () => checkSize(tarball));
  if ((await step('install', () => install(tarball))) === undefined) return;
  await step('changelog', () => checkChangelog(installed, manifest.version));
  await step('citations', () => checkCitations(installed, tarball, tracked));
  await step('publint and attw', () => lint(tarball));
  await step('ESM', () => runConsumer('every-entry-point.js', project, 'every entry point works'));
  if (canRequire()) {
    await step('require()', () =>
      runConsumer('commonjs.cjs', join(work, 'commonjs'), 'every entry point can be required'),
    );
  }
  await step('an example', () => runExample(project));
  await step('packages that an import loads', () => checkPackages(project, manifest));
  await step('time of an import', () => checkImportTime(project));
  await step('command line', () => checkCommandLine(project, manifest.version));
  await step('command', () => checkCommand(project));
  await step('types', () => checkTypes(project, ROOT));
}

try {
  const tarball = await step('pack', () => packTarball(ROOT, work));
  if (tarball !== undefined) await check(tarball);
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.stdout.write(failed === 0 ? 'may be released\n' : `must not be released: ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
