import t from 'tap';
import { entryPackages } from './package/entry-packages.js';
import { readManifest } from './package/manifest.js';

t.test('who imports this package loads nothing of what metrics, logs, traces and config files take', (t) => {
  const { loaded, expected } = entryPackages('.', readManifest('.'));
  t.strictSame(loaded, expected);
  t.end();
});
