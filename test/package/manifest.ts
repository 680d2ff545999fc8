import { readFileSync } from 'node:fs';

/** What of package.json is asked for here. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

/** That of the package in a folder. */
export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Manifest;
}

/** The modules that other packages can import, as package.json has them. */
export function entryPoints({ exports }: Manifest): string[] {
  return Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.default]));
}
