import t from 'tap';
import { parseConfig } from '../../lib/routes/config-file.js';

const OPTIONS = { file: 'p.yaml' };

t.test('no text takes long', async (t) => {
  const size = 2 ** 20;
  const repeated = (part: string): string => part.repeat(size / part.length);
  const nodes = [...'bcdefghij'].map((name, index) => {
    const before = 'abcdefghij'[index];
    return `${name}: &${name} [${Array(10).fill(`*${before}`).join(',')}]`;
  });
  const long = Array.from(
    { length: 1000 },
    (_, index) => `${'name-'.repeat(11)}${String(index).padStart(4, '0')}`,
  );
  const texts: Record<string, string> = {
    'lists in lists': repeated('['),
    'mappings in mappings': repeated('{a: '),
    'block lists in block lists': repeated('- '),
    'keys in keys': repeated('? '),
    'lists in lists, fewer': '['.repeat(50_000),
    'mappings in mappings, fewer': '{a: '.repeat(20_000),
    'deeper lines': Array.from({ length: 1400 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'),
    'the same key': 'a: 1\n'.repeat(20_000),
    'other keys': Array.from({ length: 55_000 }, (_, index) => `k${index}: 1`).join('\n'),
    'commas in a list': `[${','.repeat(40_000)}`,
    'broken escapes': '"\\x" '.repeat(50_000),
    documents: repeated('a\n---\n'),
    'aliases of aliases': ['a: &a [x]', ...nodes].join('\n'),
    'an alias of what it is in': 'a: &a { b: *a }',
    'unknown aliases': '- *a\n'.repeat(20_000),
    routes: `routes: [${'{},'.repeat(20_000)}]`,
    prototypes: `x:\n${'- __proto__: 1\n'.repeat(33_000)}`,
    'names of backends that are not quite': [
      'backends:',
      ...long.map((name) => `  ${name}n: { target: "a:1" }`),
      'routes:',
      ...long.map((name) => `- { match: {}, primary: m${name} }`),
    ].join('\n'),
    'too large': `${repeated('#')}#`,
  };
  for (const [name, text] of Object.entries(texts)) {
    const before = process.cpuUsage();
    const { mistakes } = parseConfig(text, OPTIONS);
    t.ok(mistakes!.length > 0 && mistakes!.length <= 2002, name);
    // Before what reads YAML goes down there: it may end the process at the end of the stack.
    if (/ in |deeper/.test(name) && !/commas|alias/.test(name)) {
      t.strictSame(
        mistakes!.map(({ message }) => message),
        ['is nested too deeply'],
        name,
      );
    }
    const { user, system } = process.cpuUsage(before);
    t.ok(user + system < 8e6, `${name}: ${Math.round((user + system) / 1000)} ms of CPU`);
  }
});
