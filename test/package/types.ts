import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { runNode } from './run.js';

/** The compilers, as devDependencies name them. */
const COMPILERS = ['typescript-5.9', 'typescript', 'typescript-7'] as const;
const FASTEST = 'typescript-7';

/** How modules are found, and what they are compiled to where they are found so. */
const RESOLUTIONS = { nodenext: 'nodenext', node16: 'node16', bundler: 'esnext' } as const;

/** Types of Node, as devDependencies name them: of the oldest that this package runs on, and of the newest. */
const NODE_TYPES = ['types-node-20', 'types-node-newest'] as const;

interface Combination {
  readonly compiler: (typeof COMPILERS)[number];
  readonly resolution: keyof typeof RESOLUTIONS;
  readonly nodeTypes: (typeof NODE_TYPES)[number];
  readonly skipLibCheck: boolean;
}

/**
 * All of them with the compiler that is fast. With others whatever they would say of the libraries alone, which takes them
 * ten seconds, is asked by one resolution: the libraries are the same by any.
 */
function* combinations(): Iterable<Combination> {
  for (const compiler of COMPILERS) {
    for (const resolution of Object.keys(RESOLUTIONS) as (keyof typeof RESOLUTIONS)[]) {
      for (const nodeTypes of NODE_TYPES) {
        for (const skipLibCheck of [true, false]) {
          if (!skipLibCheck && compiler !== FASTEST && resolution !== 'nodenext') continue;
          yield { compiler, resolution, nodeTypes, skipLibCheck };
        }
      }
    }
  }
}

/** Programs that whoever has the package could have written. */
const PROGRAMS = ['test/package/consumers', 'test/examples'];

/** A project with the types of one version of Node. */
function makeProject(folder: string, root: string, nodeTypes: string): void {
  const types = resolve(root, 'node_modules', nodeTypes);
  const undici = dirname(createRequire(join(types, 'package.json')).resolve('undici-types/package.json'));
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  cpSync(types, join(folder, 'node_modules/@types/node'), { recursive: true });
  const copied = join(folder, 'node_modules/@types/node/node_modules/undici-types');
  if (!existsSync(copied)) cpSync(undici, copied, { recursive: true });
  for (const programs of PROGRAMS) {
    for (const name of readdirSync(join(root, programs))) {
      if (/\.c?ts$/.test(name)) cpSync(join(root, programs, name), join(folder, name));
    }
  }
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
}

/** No `types`, which TypeScript from 6 on takes for none; only the package itself asks for those of Node. */
function configOf({ resolution, skipLibCheck }: Combination): unknown {
  return {
    compilerOptions: {
      module: RESOLUTIONS[resolution],
      moduleResolution: resolution,
      target: 'es2022',
      lib: ['es2023'],
      strict: true,
      verbatimModuleSyntax: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck,
    },
    // Only `nodenext` knows that modules can be required.
    include: ['*.ts', ...(resolution === 'nodenext' ? ['*.cts'] : [])],
  };
}

/**
 * Compiles programs that use every entry point, and the examples, by all compilers.
 *
 * @param project where the package is installed
 * @param root of the repository
 */
export async function checkTypes(project: string, root: string): Promise<string> {
  for (const name of NODE_TYPES) {
    makeProject(join(project, name), root, name);
  }
  const waiting = [...combinations()];
  const count = waiting.length;
  const failures: string[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const name = Object.values(next).join('-');
      const folder = join(project, next.nodeTypes);
      writeFileSync(join(folder, `tsconfig.${name}.json`), JSON.stringify(configOf(next)));
      const compiler = resolve(root, 'node_modules', next.compiler, 'bin/tsc');
      await runNode(folder, compiler, '--project', `tsconfig.${name}.json`).catch((error: Error) => {
        failures.push(`${JSON.stringify(next)}: ${error.message}`);
      });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  if (failures.length > 0) throw new Error(failures.join('\n'));
  return `${count} combinations of compiler, resolution, Node's types and skipLibCheck`;
}
