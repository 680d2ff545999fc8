import { cp, mkdtemp, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const LIB = new URL('../../lib/', import.meta.url);

export type Package = typeof import('../../lib/index.js');

/** Another copy of the package in this process, as nested dependencies bring: its modules share nothing with this one's. */
export async function secondCopy(t: Test): Promise<Package> {
  // Where its dependencies are found, too, and a build clears away what was left.
  const directory = await mkdtemp(fileURLToPath(new URL('../test/copy-', LIB)));
  t.teardown(() => rm(directory, { recursive: true }));
  await cp(LIB, `${directory}/lib`, { recursive: true, filter: (path) => !/\.(?:map|d\.ts)$/.test(path) });
  return (await import(`${directory}/lib/index.js`)) as Package;
}
