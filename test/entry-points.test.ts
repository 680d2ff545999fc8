import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, { readonly default: string } | string>;
};

/** What of other packages each entry point of this one loads. */
const PACKAGES: Record<string, readonly string[]> = {
  '.': ['http2-wrapper'],
  './access-log': [],
  './admin': [],
  './health': [],
  './metrics': ['prom-client'],
  './routes': ['http2-wrapper', 'yaml', 'zod'],
  './tracing': ['@opentelemetry/api'],
};

/** The other packages that a module loads, itself or by what it imports. */
function packagesOf(file: string, seen = new Set<string>(), found = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, specifier] of text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom '([^']+)';|^import '([^']+)';/gms,
  )) {
    if (specifier === undefined || specifier.startsWith('node:')) continue;
    if (specifier.startsWith('.')) packagesOf(join(file, '..', specifier), seen, found);
    else found.add(specifier);
  }
  return [...found].sort();
}

t.test('who imports this package loads nothing of what metrics, logs, traces and config files take', (t) => {
  const entries = Object.entries(exports).flatMap(([name, entry]) =>
    typeof entry === 'string' ? [] : [[name, entry.default] as const],
  );
  t.strictSame(entries.map(([name]) => name).sort(), Object.keys(PACKAGES).sort());
  for (const [name, file] of entries) t.strictSame(packagesOf(file), PACKAGES[name], name);
  t.end();
});
