import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from './manifest.js';

/** What of other packages each entry point of this one loads. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '.': ['http2-wrapper'],
  './access-log': [],
  './admin': [],
  './health': [],
  './metrics': ['prom-client'],
  './routes': ['http2-wrapper', 'yaml', 'zod'],
  './tracing': ['@opentelemetry/api'],
};

/** The other packages that a module loads, itself or by what it imports; not what it imports lazily. */
function packagesOf(file: string, seen = new Set<string>(), found = new Set<string>()): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, specifier] of text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom '([^']+)';|^import '([^']+)';/gms,
  )) {
    if (specifier === undefined || specifier.startsWith('node:')) continue;
    if (specifier.startsWith('.')) packagesOf(join(file, '..', specifier), seen, found);
    else found.add(/^(?:@[^/]+\/)?[^/]+/.exec(specifier)![0]);
  }
  return [...found].sort();
}

/** The packages that each entry point loads in truth, and those that it should, by its name; the commands, too, which load none. */
export function entryPackages(
  folder: string,
  { bin, exports }: Manifest,
): Record<'loaded' | 'expected', Record<string, readonly string[]>> {
  const files = Object.entries(exports).flatMap(([name, entry]) =>
    typeof entry === 'string' ? [] : [[name, entry.default] as const],
  );
  const all = [...files, ...Object.entries(bin)];
  const none = Object.fromEntries(Object.keys(bin).map((name) => [name, []]));
  return {
    loaded: Object.fromEntries(all.map(([name, file]) => [name, packagesOf(join(folder, file))])),
    expected: { ...PACKAGES, ...none },
  };
}
