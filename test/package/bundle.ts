import { dirname, posix, relative, resolve, sep } from 'node:path';
import { type Plugin, rollup } from 'rollup';
import { indentByTabs } from './indent.js';

/**
 * Keeps what a module finds by its own place, `lib/admin/page` for example: `import.meta.url` goes on to tell where the module
 * was, though its text now stands in a chunk.
 */
function keepPlaces(folder: string): Plugin {
  return {
    name: 'keep-places',
    resolveImportMeta(property, { chunkId, moduleId }) {
      if (property !== 'url') return null;
      const module = relative(folder, moduleId).split(sep).join('/');
      return `new URL('${posix.relative(dirname(chunkId), module)}', import.meta.url).href`;
    },
  };
}

/**
 * Joins compiled modules to few files, which load faster than hundreds and are smaller: one for each entry, at the
 * entry's place, and chunks of what entries share, so that a class exists once, by whatever entry point it comes. What is
 * imported lazily stays so. Names stay as they are, for stack traces.
 *
 * @param folder of the compiled modules
 * @param entries paths of modules below the folder
 * @param destination a folder that the files are written to
 */
export async function bundle(folder: string, entries: readonly string[], destination: string): Promise<void> {
  const build = await rollup({
    input: Object.fromEntries(entries.map((entry) => [entry.replace(/\.js$/, ''), resolve(folder, entry)])),
    external: /^(?![./])/,
    plugins: [keepPlaces(folder), indentByTabs()],
    onLog(level, { message }) {
      if (level === 'warn') throw new Error(`the bundler warns: ${message}`);
    },
  });
  try {
    await build.write({
      dir: destination,
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name].js',
      generatedCode: 'es2015',
      hoistTransitiveImports: false,
      minifyInternalExports: false,
    });
  } finally {
    await build.close();
  }
}
