import { resolve } from 'node:path';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';

/** TypeScript from 6 on looks at no types that nobody names, and the declarations speak of `Buffer` and `AbortSignal`. */
const NEEDS_NODE = '/// <reference types="node" />';

/**
 * Joins the declarations that users can reach to one file for each entry, and files of what entries share: what is declared
 * for this package's own modules alone stays away.
 *
 * @param folder of the compiled modules
 * @param project the configuration of the compiler that has compiled them
 * @param entries paths of modules below the folder
 * @param destination a folder that the files are written to
 */
export async function bundleDeclarations(
  folder: string,
  project: string,
  entries: readonly string[],
  destination: string,
): Promise<void> {
  const names = entries.map((entry) => entry.replace(/\.js$/, ''));
  const build = await rollup({
    input: Object.fromEntries(names.map((name) => [name, resolve(folder, `${name}.d.ts`)])),
    external: /^(?![./])/,
    plugins: [dts({ tsconfig: project })],
    onLog(level, { message }) {
      if (level === 'warn') throw new Error(`the bundler warns of declarations: ${message}`);
    },
  });
  try {
    await build.write({
      dir: destination,
      entryFileNames: '[name].d.ts',
      chunkFileNames: 'types/[name].ts',
      banner: ({ isEntry }) => (isEntry ? NEEDS_NODE : ''),
      hoistTransitiveImports: false,
      minifyInternalExports: false,
    });
  } finally {
    await build.close();
  }
}
