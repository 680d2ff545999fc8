import { readFileSync } from 'node:fs';
import t from 'tap';
import { ownVersion } from '../../lib/observe/metrics/own-version.js';

const MANIFEST = new URL('../../../package.json', import.meta.url);

t.test('the version is that of package.json', async (t) => {
  t.equal(ownVersion(), JSON.parse(readFileSync(MANIFEST, 'utf8')).version);
});

t.test('a program into which the package is bundled has a version that is unknown, and starts', async (t) => {
  const folder = t.testdir({
    'package.json': JSON.stringify({ name: 'of-the-program', version: '7.0.0' }),
    broken: '{',
  });
  for (const name of ['package.json', 'broken', 'missing']) {
    t.equal(ownVersion(`file://${folder}/${name}`), 'unknown', name);
  }
});
