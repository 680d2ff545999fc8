import { existsSync, readFileSync } from 'node:fs';
import { basename, join, posix } from 'node:path';
import type { Tarball } from './tarball.js';

/** The parts of the repository, by the first folder of a path. */
const REPOSITORY = /(?<![\w/.-])((?:lib|bench|test|dist|\.github|\.ci)\/[\w./-]*\w)/g;

/** A document by its name alone; gRPC's, `naming.md` for example, are not in this repository. */
const DOCUMENT = /(?<![\w/.-])([\w-]+\.md)\b/g;

/** The newest version that the changelog tells of is the one that is packed. */
export function checkChangelog(folder: string, version: string): string {
  const newest = /^## \[([^\]]+)\]/m.exec(readFileSync(join(folder, 'CHANGELOG.md'), 'utf8'))?.[1];
  if (newest !== version) throw new Error(`package.json is ${version}, CHANGELOG.md's newest ${newest}`);
  return version;
}

/** Where links of a document in Markdown lead, if that is in the package. */
function* linksOf(text: string): Iterable<string> {
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (target !== undefined && !/^[a-z]+:|^#/.test(target)) yield target.replace(/#.*/, '');
  }
}

/** It is read in the repository, too, and leads to what only those need who work on the package. */
const FOR_DEVELOPERS = 'README.md';

/**
 * What documents link to, and what declarations cite, comes with the package; what the README links to is in the repository
 * at least.
 *
 * @param folder of the installed package
 * @param tracked paths in the repository
 */
export function checkCitations(folder: string, { files }: Tarball, tracked: ReadonlySet<string>): string {
  const documents = new Set(
    [...tracked].filter((path) => path.endsWith('.md')).map((path) => basename(path)),
  );
  const missing = new Set<string>();
  let count = 0;
  const check = (file: string, cited: string, path: string): void => {
    count++;
    const isThere = existsSync(join(folder, path)) || (file === FOR_DEVELOPERS && tracked.has(path));
    if (!isThere) missing.add(`${cited}, which ${file} cites`);
  };
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    if (file.endsWith('.md')) {
      for (const target of linksOf(text)) check(file, target, posix.join(posix.dirname(file), target));
    } else if (file.endsWith('.d.ts')) {
      for (const [, path = ''] of text.matchAll(REPOSITORY)) check(file, path, path);
      for (const [, name = ''] of text.matchAll(DOCUMENT)) {
        const shipped = files.find((path) => basename(path) === name);
        if (documents.has(name)) check(file, name, shipped ?? name);
      }
    }
  }
  if (missing.size > 0) throw new Error(`the package lacks:\n${[...missing].join('\n')}`);
  return `${count} cited, all there`;
}
