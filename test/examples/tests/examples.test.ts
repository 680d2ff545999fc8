import { readdir, readFile } from 'node:fs/promises';
import t from 'tap';

const ROOT = new URL('../../../../', import.meta.url);
const EXAMPLES = new URL('test/examples/', ROOT);

/** The packages that an example may use beside this one: what is traced with. */
const OTHERS = /^(node:|@opentelemetry\/)/;

const { exports } = JSON.parse(await readFile(new URL('package.json', ROOT), 'utf8')) as {
  exports: Record<string, unknown>;
};
const entryPoints = new Set(Object.keys(exports).map((name) => `grpc-frame-proxy${name.slice(1)}`));

const names = (await readdir(EXAMPLES)).filter((name) => name.endsWith('.ts'));
const tests = await Promise.all(
  (await readdir(new URL('tests/', EXAMPLES))).map((name) =>
    readFile(new URL(`tests/${name}`, EXAMPLES), 'utf8'),
  ),
);

t.ok(names.length >= 16, `${names.length} examples`);

for (const name of names) {
  t.test(
    `${name} is short, needs nothing but this package, says what it does, and is run by a test`,
    async (t) => {
      const text = await readFile(new URL(name, EXAMPLES), 'utf8');
      t.ok(text.trimEnd().split('\n').length <= 40);
      t.match(text, /^\/\/ [A-Z]/);
      for (const [, from] of text.matchAll(/ from '(.*)';$/gm)) {
        t.ok(entryPoints.has(from!) || OTHERS.test(from!), `${from}`);
      }
      const code = text.replaceAll(/^import[^;]*;|^ *\/\/.*$|\/\*\*[\s\S]*?\*\//gm, '');
      t.notMatch(code, / as (?!const)|!\.|\bany\b/, 'no casts');
      t.notMatch(text, /@ts-|biome-ignore/);
      t.ok(tests.some((test) => test.includes(`'${name.slice(0, -'.ts'.length)}'`)));
    },
  );
}
