import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { metrics } from '../lib/observe/metrics/index.js';
import { parseConfig } from '../lib/routes/index.js';

const ROOT = new URL('../../', import.meta.url);
const README = await readFile(new URL('README.md', ROOT), 'utf8');

/** The blocks of a language, in order. */
function blocksOf(language: string): string[] {
  return [...README.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map((match) => match[1]!);
}

t.test('the programs in the README are examples, which tests run', async (t) => {
  const programs = blocksOf('ts');
  t.equal(programs.length, 3);
  const names = ['shard-by-field', 'replicate-with-quorum', 'shadow-and-compare'];
  for (const [index, name] of names.entries()) {
    t.equal(programs[index], await readFile(new URL(`test/examples/${name}.ts`, ROOT), 'utf8'), name);
  }
});

t.test('what the README links to is there', async (t) => {
  const headings = [...README.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const [, target] of README.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (target!.startsWith('#')) t.ok(headings.includes(target!.slice(1)), target!);
    else if (!/^https?:/.test(target!)) t.ok(existsSync(new URL(target!, ROOT)), target!);
  }
});

t.test('the config files in the README make sense, also the one in the Kubernetes manifest', async (t) => {
  const [config, manifest] = blocksOf('yaml') as [string, string];
  t.strictSame(parseConfig(config, { file: 'proxy.yaml' }).mistakes, undefined);
  const documents = parseAllDocuments(manifest).map((document) => document.toJS());
  t.strictSame(
    documents.map(({ kind }) => kind),
    ['ConfigMap', 'Deployment'],
  );
  const mounted = documents[0].data['proxy.yaml'];
  const parsed = parseConfig(mounted, { file: 'proxy.yaml' });
  t.strictSame(parsed.mistakes, undefined);
  const { spec } = documents[1].spec.template;
  t.ok(spec.terminationGracePeriodSeconds > 5 + parsed.config!.drainTimeout.milliseconds / 1000);
});

t.test('the alerts in the README look at metrics that there are', async (t) => {
  const server = { observe: () => {}, runningCalls: [] };
  const counted = metrics(server, { backends: () => [] });
  const { families } = await counted.snapshot();
  const known = new Set(
    families.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_count`, `${name}_bucket`] : [name],
    ),
  );
  const [alerts] = blocksOf('promql') as [string];
  const lines = alerts.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  t.equal(lines.length, 5);
  for (const line of lines) {
    const names = line.match(/grpc_[a-z_]+(?=[{[])/g) ?? [];
    t.ok(names.length > 0, line);
    for (const name of names) t.ok(known.has(name), name);
  }
});
