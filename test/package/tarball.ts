import { join } from 'node:path';
import { run } from './run.js';

/** What npm has packed. */
export interface Tarball {
  readonly path: string;
  readonly bytes: number;
  /** Paths in the package. */
  readonly files: readonly string[];
}

const MAX_BYTES = 300_000;
const MAX_FILES = 220;

/** What the compiler leaves, and sources: all but examples. */
const ODD = /\.map$|(?<!\.d)\.ts$|\.tsbuildinfo$|^dist\/(?!lib\/)/;

/** Packs the package of a folder as it would be published. */
export async function packTarball(root: string, destination: string): Promise<Tarball> {
  const told = await run(root, 'npm', 'pack', '--silent', '--json', '--pack-destination', destination);
  const [packed] = JSON.parse(told) as [
    {
      readonly filename: string;
      readonly size: number;
      readonly files: readonly { readonly path: string }[];
    },
  ];
  const { filename, size, files } = packed;
  return { path: join(destination, filename), bytes: size, files: files.map(({ path }) => path) };
}

/** Small, and nothing in it that nobody needs. */
export function checkSize({ bytes, files }: Tarball): string {
  if (bytes >= MAX_BYTES) throw new Error(`${bytes} bytes, which must be below ${MAX_BYTES}`);
  if (files.length >= MAX_FILES) throw new Error(`${files.length} files, which must be below ${MAX_FILES}`);
  const odd = files.filter((file) => ODD.test(file) && !file.startsWith('test/examples/'));
  if (odd.length > 0) throw new Error(`nobody needs ${odd.join(', ')}`);
  return `${(bytes / 1000).toFixed(1)} kB, ${files.length} files`;
}
