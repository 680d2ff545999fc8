import { writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { CurrentSettings } from '../../lib/cli/current-settings.js';
import { loadSettings, type UsableSettings } from '../../lib/cli/load-settings.js';
import { parseCommandLine } from '../../lib/cli/options.js';
import type { Plane } from '../../lib/cli/plane.js';
import type { Settings } from '../../lib/cli/settings.js';
import { metrics } from '../../lib/observe/metrics/index.js';
import { Authority } from '../support/authority.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { Folder } from './operated.js';

const authority = new Authority();
const [first, second, third] = ['first', 'second', 'third'].map((name) => authority.issue({ name })) as [
  ReturnType<Authority['issue']>,
  ReturnType<Authority['issue']>,
  ReturnType<Authority['issue']>,
];

/** Applies settings as slowly as the test wants. */
class SlowPlane implements Partial<Plane> {
  readonly applied: Settings[] = [];
  running = 0;
  most = 0;
  gate: Promise<void> = Promise.resolve();

  async apply(settings: Settings): Promise<void> {
    this.most = Math.max(this.most, ++this.running);
    await this.gate;
    this.applied.push(settings);
    this.running--;
  }
}

/** The command's settings by a file, which are watched, and a plane. */
async function watched(t: Test, folder: Folder, config: object) {
  const path = await folder.write('proxy.yaml', config);
  const command = parseCommandLine(['--config', path]);
  if (command.kind !== 'run') throw new Error(command.kind);
  const loaded = (await loadSettings(command.flags)) as UsableSettings;
  t.equal(loaded.mistakes, undefined);
  const plane = new SlowPlane();
  const lines: string[] = [];
  const add = (line: string): void => void lines.push(line);
  const settings = new CurrentSettings(
    loaded,
    command.flags,
    plane as unknown as Plane,
    metrics({ observe() {}, runningCalls: [] }),
    { error: add, warn: add, info: add, debug: add },
  );
  settings.watch();
  t.teardown(() => settings.stop());
  // Nothing else keeps this process alive while files are looked at.
  const timer = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(timer));
  return { settings, plane, lines };
}

function configWith(target: string, listen: object | string = '127.0.0.1:0'): object {
  return { listen, backends: { files: { target } }, routes: [{ match: {}, primary: 'files' }] };
}

t.test('reloads come one after the other, each with what the file holds then', async (t) => {
  const folder = await Folder.make(t);
  const { settings, plane } = await watched(t, folder, configWith('a:1'));
  const gate = deferred();
  plane.gate = gate.promise;
  const reloads = [settings.reload(), settings.reload()];
  await eventually('the first is under way', () => plane.running === 1);
  await folder.write('proxy.yaml', configWith('b:1'));
  reloads.push(settings.reload());
  gate.resolve();
  t.strictSame(await Promise.all(reloads), [[], [], []]);
  t.equal(plane.most, 1);
  t.strictSame(
    plane.applied.map(({ config }) => config.backends.files!.target),
    ['a:1', 'b:1', 'b:1'],
  );
  t.equal(settings.current.config.backends.files!.target, 'b:1');
});

t.test(
  'a certificate that is renewed while a reload is under way does not bring the old config back',
  async (t) => {
    const folder = await Folder.make(t);
    await folder.write('tls.crt', first.cert);
    await folder.write('tls.key', first.key);
    const listen = { address: '127.0.0.1:0', tls: { cert: 'tls.crt', key: 'tls.key' } };
    const { settings, plane, lines } = await watched(t, folder, configWith('a:1', listen));
    const gate = deferred();
    plane.gate = gate.promise;
    await folder.write('proxy.yaml', configWith('b:1', listen));
    const reload = settings.reload();
    await eventually('the reload is under way', () => plane.running === 1);
    // Not by a rename each: no look may fall between them.
    await Promise.all([
      writeFile(folder.at('tls.crt'), second.cert),
      writeFile(folder.at('tls.key'), second.key),
    ]);
    await eventually(
      'the files are seen',
      () => lines.some((line) => line.startsWith('changed, and used')),
      10_000,
    );
    gate.resolve();
    t.strictSame(await reload, []);
    await eventually(
      'they are used',
      () => String(settings.current.tls.listeners[0]?.cert) === second.cert,
      10_000,
    );
    t.equal(settings.current.config.backends.files!.target, 'b:1');
    t.strictSame([...new Set(plane.applied.map(({ config }) => config.backends.files!.target))], ['b:1']);
    t.equal(String(plane.applied.at(-1)!.tls.listeners[0]!.cert), second.cert);
  },
);

t.test('the files of listeners that stay as they were are still watched, and no others', async (t) => {
  const folder = await Folder.make(t);
  for (const name of ['old', 'new', 'ca']) {
    await folder.write(`${name}.crt`, first.cert);
    await folder.write(`${name}.key`, first.key);
  }
  const listenBy = (name: string) => ({
    address: '127.0.0.1:0',
    tls: { cert: `${name}.crt`, key: `${name}.key` },
  });
  const { settings, plane, lines } = await watched(t, folder, configWith('a:1', listenBy('old')));
  const backends = { files: { target: 'https://b:1', tls: { ca: 'ca.crt' } } };
  await folder.write('proxy.yaml', { ...configWith('b:1', listenBy('new')), backends });
  t.strictSame(await settings.reload(), []);
  t.equal(lines.filter((line) => line.startsWith('listen cannot change')).length, 1);

  const renew = async (name: string, { cert, key }: typeof first): Promise<void> => {
    await Promise.all([writeFile(folder.at(`${name}.crt`), cert), writeFile(folder.at(`${name}.key`), key)]);
  };
  await renew('new', second);
  await renew('old', third);
  await eventually('the old ones are used', () => plane.applied.length === 2, 10_000);
  t.equal(String(settings.current.tls.listeners[0]!.cert), third.cert);
  await renew('ca', second);
  await eventually("the backend's are used", () => plane.applied.length === 3, 10_000);
  t.equal(String(settings.current.tls.backends.get('files')!.ca), second.cert);
  t.equal(String(settings.current.tls.listeners[0]!.cert), third.cert);
  t.equal(lines.filter((line) => line.startsWith('changed, and used')).length, 2);
});

t.test('a config that was refused for files that it names is taken once these are of use', async (t) => {
  const folder = await Folder.make(t);
  const { settings, plane, lines } = await watched(t, folder, configWith('a:1'));
  const backends = { files: { target: 'https://b:1', tls: { ca: 'ca.crt' } } };
  await folder.write('proxy.yaml', { ...configWith('b:1'), backends });
  t.match(await settings.reload(), [/ca\.crt" cannot be read: there is no such file/]);
  await folder.write('ca.crt', first.cert.slice(0, -40));
  await eventually('half a file is seen', () => lines.some((line) => /middle/.test(line)), 10_000);
  t.equal(plane.applied.length, 0);
  await folder.write('ca.crt', first.cert);
  await eventually('the config is in force', () => plane.applied.length > 0, 10_000);
  t.equal(settings.current.config.backends.files!.target, 'https://b:1');
});
