import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** TypeScript from 6 on looks at no types that nobody names, and the declarations speak of `Buffer` and `AbortSignal`. */
const NEEDS_NODE = '/// <reference types="node" />\n';

/** The declarations that are reached from an entry's, itself included, as paths below the folder. */
function reachable(folder: string, file: string, found: Set<string>): void {
  if (found.has(file)) return;
  found.add(file);
  const { importedFiles } = ts.preProcessFile(readFileSync(join(folder, file), 'utf8'));
  for (const { fileName } of importedFiles) {
    if (fileName.startsWith('.')) reachable(folder, join(file, '..', declarationsOf(fileName)), found);
  }
}

function declarationsOf(module: string): string {
  return module.replace(/\.js$/, '.d.ts');
}

/**
 * Copies the declarations that users can reach.
 *
 * @param folder of the compiled modules
 * @param entries paths of modules below the folder
 */
export function copyDeclarations(folder: string, entries: readonly string[], destination: string): void {
  const files = new Set<string>();
  for (const entry of entries) reachable(folder, declarationsOf(entry), files);
  for (const file of files) cpSync(join(folder, file), join(destination, file));
  for (const entry of entries) {
    const file = join(destination, declarationsOf(entry));
    writeFileSync(file, NEEDS_NODE + readFileSync(file, 'utf8'));
  }
}
