import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chart } from './chart.js';
import type { Results } from './results.js';
import { table } from './table.js';

/** Beside the sources, not in `dist`. */
const DIRECTORY = fileURLToPath(new URL('../../../bench/results/', import.meta.url));

/** Writes the results, their chart and their table; returns the paths. */
export function keep(results: Results, json?: string): string[] {
  const { date, node } = results.machine;
  const name = `${date.slice(0, 16).replace(/[:T]/g, '-')}-node-${node.slice(1)}.json`;
  const path = json ?? join(DIRECTORY, name);
  const stem = path.replace(/\.json$/, '');
  const files: [path: string, text: string][] = [
    [path, `${JSON.stringify(results, undefined, 1)}\n`],
    [`${stem}.svg`, chart(results)],
    [`${stem}.md`, table(results)],
  ];
  mkdirSync(dirname(path), { recursive: true });
  return files.map(([file, text]) => {
    writeFileSync(file, text);
    return relative(process.cwd(), file);
  });
}
