import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.js';
import { bundleDeclarations } from './declarations.js';
import { entryPoints, readManifest } from './manifest.js';

/**
 * Puts the form that is published in the place of `dist/lib`, so that package.json names the same files in a checkout
 * and in the package. The modules, by which tests go, wait beside it until npm has packed:
 *
 *     node dist/test/package/prepack.js
 *     node dist/test/package/prepack.js --undo
 */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const LIB = resolve(ROOT, 'dist/lib');
const MODULES = resolve(ROOT, 'dist/modules');
const WITHOUT_COMMENTS = resolve(ROOT, 'dist/without-comments');
const PACKED = resolve(ROOT, 'dist/packed');

/** It is started by its path, too. */
const COMMAND = 'cli/main.js';

/** What the declarations say as well need not be downloaded twice: comments are a third of the package. */
function compileWithoutComments(): void {
  const compiler = resolve(ROOT, 'node_modules/typescript-7/bin/tsc');
  const flags = [
    '--removeComments',
    '--declaration',
    'false',
    '--sourceMap',
    'false',
    '--inlineSources',
    'false',
  ];
  const { status, stdout } = spawnSync(
    process.execPath,
    [compiler, '--project', 'lib', '--incremental', 'false', ...flags, '--outDir', WITHOUT_COMMENTS],
    { cwd: ROOT, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`cannot compile: ${stdout}`);
}

async function pack(): Promise<void> {
  const manifest = readManifest(ROOT);
  const belowLib = (path: string): string => path.replace(/^(\.\/)?dist\/lib\//, '');
  const entries = entryPoints(manifest).map(belowLib);
  for (const folder of [WITHOUT_COMMENTS, PACKED]) rmSync(folder, { recursive: true, force: true });
  compileWithoutComments();
  const programs = Object.values(manifest.bin).map(belowLib);
  await bundle(resolve(WITHOUT_COMMENTS, 'lib'), [...entries, ...programs, COMMAND], PACKED);
  await bundleDeclarations(LIB, resolve(ROOT, 'lib/tsconfig.json'), entries, PACKED);
  rmSync(WITHOUT_COMMENTS, { recursive: true });
  renameSync(LIB, MODULES);
  renameSync(PACKED, LIB);
}

/** Makes `dist/lib` what it was. */
function unpack(): void {
  if (!existsSync(MODULES)) return;
  rmSync(LIB, { recursive: true, force: true });
  renameSync(MODULES, LIB);
}

unpack();
if (process.argv[2] !== '--undo') await pack();
