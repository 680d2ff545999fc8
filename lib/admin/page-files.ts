import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Answer } from './answers.js';

/** They are served as they are, and have no build step: this is `dist/lib/admin`. */
const FOLDER = new URL('../../../lib/admin/page/', import.meta.url);

const FILES = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/page.css', 'page.css', 'text/css; charset=utf-8'],
  ['/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/charts.js', 'charts.js', 'text/javascript; charset=utf-8'],
  ['/tables.js', 'tables.js', 'text/javascript; charset=utf-8'],
  ['/words.js', 'words.js', 'text/javascript; charset=utf-8'],
  ['/icon.svg', 'icon.svg', 'image/svg+xml'],
  ['/icon-failing.svg', 'icon-failing.svg', 'image/svg+xml'],
] as const;

/** The live page's files, by the paths that they are answered at. */
export async function pageFiles(): Promise<ReadonlyMap<string, Answer>> {
  const files = FILES.map(async ([path, name, contentType]) => {
    const body = await readFile(fileURLToPath(new URL(name, FOLDER)));
    return [path, { status: 200, contentType, body }] as const;
  });
  return new Map(await Promise.all(files));
}
