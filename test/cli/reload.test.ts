import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { startCommand } from '../support/command.js';
import { eventually } from '../support/eventually.js';
import { collect } from '../support/grpc-client.js';
import { configOf, echo, Folder, METHOD, Operated, startBackend } from './operated.js';

const IN_FORCE = /the config is read again, and in force/;

t.test(
  'a changed file is used upon SIGHUP, POST /reload, and by itself, also behind a symlink',
  async (t) => {
    const [one, other] = [await startBackend(t), await startBackend(t)];
    const configs = [configOf({ one, other }), configOf({ other, one })];
    const folder = await Folder.make(t);
    // As Kubernetes mounts a ConfigMap: the file is a link through one that is swapped.
    for (const [index, config] of configs.entries()) {
      await mkdir(folder.at(`version-${index}`));
      await folder.write(`version-${index}/proxy.yaml`, config);
    }
    const use = async (index: number): Promise<void> => {
      await symlink(`version-${index}`, folder.at('new'));
      await rename(folder.at('new'), folder.at('current'));
    };
    await use(0);
    await symlink('current/proxy.yaml', folder.at('proxy.yaml'));
    const operated = await Operated.start(t, '--config', folder.at('proxy.yaml'));
    let reloads = 0;
    const expectReload = async (what: string, index: number): Promise<void> => {
      reloads++;
      await operated.eventually(
        what,
        () => operated.reloads('ok'),
        (count) => count === reloads,
      );
      const [meant, before] = index === 0 ? [one, other] : [other, one];
      const [calls, others] = [meant.calls, before.calls];
      t.equal((await operated.callOnce()).code, 0, what);
      t.strictSame([meant.calls, before.calls], [calls + 1, others], what);
      await operated.saidTimes(reloads, IN_FORCE);
    };

    const swapped = performance.now();
    await use(1);
    await operated.said(IN_FORCE);
    t.ok(performance.now() - swapped < 5000, 'within 5 s');
    await expectReload('a symlink', 1);

    await writeFile(folder.at('version-1/proxy.yaml'), JSON.stringify(configs[0]));
    operated.command.signal('SIGHUP');
    await expectReload('SIGHUP', 0);
    // Another look at the file, which finds what has been read.
    await pause(1500);
    t.equal(await operated.reloads('ok'), reloads, 'it is not read twice');

    await writeFile(folder.at('version-1/proxy.yaml'), JSON.stringify(configs[1]));
    t.equal((await operated.post('/reload')).status, 202);
    await expectReload('POST /reload', 1);

    operated.command.signal('SIGHUP');
    await expectReload('SIGHUP without a change', 1);
    t.equal(await operated.reloads('failed'), 0);
  },
);

t.test('SIGHUP reloads where nobody reads the pipe that the access log goes to', async (t) => {
  const one = await startBackend(t);
  const folder = await Folder.make(t);
  execFileSync('mkfifo', [folder.at('calls')]);
  const reader = openSync(folder.at('calls'), constants.O_RDONLY | constants.O_NONBLOCK);
  t.teardown(() => closeSync(reader));
  const file = await folder.write('proxy.yaml', { ...configOf({ one }), accessLog: { file: 'calls' } });
  const operated = await Operated.start(t, '--config', file);
  // More than the pipe has room for.
  const client = operated.client();
  const method = `/test.${'x'.repeat(200)}/${'y'.repeat(200)}`;
  for (let i = 0; i < 10; i++) {
    await Promise.all(Array.from({ length: 20 }, () => client.call(method, ['hello'])));
  }
  operated.command.signal('SIGHUP');
  await operated.said(IN_FORCE);
  t.equal(await operated.reloads('ok'), 1);
  t.equal(await operated.end(), 0);
});

t.test('a file with mistakes leaves the old config in force, is told, and counted', async (t) => {
  const [one, other] = [await startBackend(t), await startBackend(t)];
  const folder = await Folder.make(t);
  const file = await folder.write('proxy.yaml', configOf({ one }));
  const operated = await Operated.start(t, '--config', file);

  await folder.write('proxy.yaml', { ...configOf({ other }), wrkers: 2, drainTimeout: 'soon' });
  const mistakes = [
    /proxy\.yaml:1:\d+: wrkers: is no key here \(did you mean "workers"\?\)/,
    /proxy\.yaml:1:\d+: drainTimeout: "soon" is no duration: give 250ms, 5s or 2m/,
  ];
  await operated.said(/error: the config has mistakes, so the one before stays in force/);
  for (const mistake of mistakes) await operated.saidTimes(1, mistake);
  t.equal(await operated.reloads('failed'), 1);
  t.equal((await operated.callOnce()).code, 0);
  t.strictSame([one.calls, other.calls], [1, 0]);

  const { status, headers, body } = await operated.post('/reload');
  t.equal(status, 422);
  t.match(headers['content-type'], /^application\/json/);
  t.match(JSON.parse(body), { mistakes });
  t.equal(await operated.reloads('failed'), 2);

  operated.command.signal('SIGHUP');
  await operated.eventually(
    'the third',
    () => operated.reloads('failed'),
    (count) => count === 3,
  );
  await operated.saidTimes(3, /the config has mistakes/);
  await operated.saidTimes(3, mistakes[0]!);
  t.equal(await operated.reloads('ok'), 0);
  t.match(await operated.json('/config'), { backends: { one: {} } });

  await folder.write('proxy.yaml', configOf({ other }));
  await operated.said(IN_FORCE);
  t.equal((await operated.callOnce()).code, 0);
  t.strictSame([one.calls, other.calls], [1, 1]);
});

for (const transport of ['http2', 'frames']) {
  t.test(`running calls and connections of both configs outlive a reload (${transport})`, async (t) => {
    const [kept, left, added] = [
      await startBackend(t, echo),
      await startBackend(t, echo),
      await startBackend(t),
    ];
    const folder = await Folder.make(t);
    const config = configOf({ kept, left }, { transport });
    const routes = (primary: string) => [
      { match: { service: 'kept.*' }, primary: 'kept' },
      { match: {}, primary },
    ];
    const file = await folder.write('proxy.yaml', { ...config, routes: routes('left') });
    const operated = await Operated.start(t, '--config', file);
    const client = operated.client();
    const [running, last] = ['/kept.Service/Method', METHOD].map((method) => {
      const call = client.open(method);
      return { call, result: collect(call) };
    });
    for (const { call } of [running!, last!]) {
      call.write(Buffer.from('before'));
      await once(call, 'data');
    }
    const [session] = left.sessions;

    await folder.write('proxy.yaml', {
      ...configOf({ kept, added }, { transport }),
      routes: routes('added'),
    });
    t.equal((await operated.post('/reload')).status, 202);
    t.equal((await operated.callOnce()).code, 0);
    t.equal((await operated.callOnce('/kept.Service/Method')).code, 0);
    t.strictSame([added.calls, left.calls, kept.calls], [1, 1, 2]);
    for (const { call, result } of [running!, last!]) {
      call.write(Buffer.from('after'));
      call.end();
      const { code, messages } = await result;
      t.strictSame([code, messages.map(String)], [0, ['before', 'after']]);
    }
    await eventually('the connection of the last call closes', () => session!.destroyed, 10_000);
    t.strictSame([kept.sessions.length, kept.sessions[0]!.destroyed], [1, false], 'kept');
    t.strictSame(
      (await operated.json<{ name: string }[]>('/backends')).map(({ name }) => name),
      ['kept', 'added'],
    );
  });
}

t.test('what cannot change without a restart is told by name, and the rest applies', async (t) => {
  const [one, other] = [await startBackend(t), await startBackend(t)];
  const folder = await Folder.make(t);
  const keys = { listen: '127.0.0.1:0', transport: 'frames', workers: 1, admin: '127.0.0.1:0' };
  const file = await folder.write('proxy.yaml', configOf({ one }, keys));
  // None of the flags that would override these.
  const operated = await Operated.of(t, startCommand(t, '--config', file));
  const changed = { listen: ':1', transport: 'http2', workers: 3, admin: { address: ':2', hosts: ['a.b'] } };
  await folder.write('proxy.yaml', configOf({ other }, { ...changed, health: 'forward' }));
  t.equal((await operated.post('/reload')).status, 202);
  for (const key of Object.keys(keys)) {
    await operated.saidTimes(1, new RegExp(`warn: ${key} cannot change without a restart`));
  }
  t.equal((await operated.callOnce()).code, 0);
  t.strictSame([one.calls, other.calls], [0, 1]);
  t.match(await operated.json('/config'), {
    listen: [{ address: '127.0.0.1:0' }],
    transport: 'frames',
    workers: 1,
    admin: { address: '127.0.0.1:0', hosts: [] },
    health: 'forward',
    backends: { other: {} },
  });
});

t.test('the access log becomes another, none, and is one again; each call is in it once', async (t) => {
  const one = await startBackend(t);
  const folder = await Folder.make(t);
  const configs = [{ accessLog: { file: 'a.log' } }, { accessLog: { file: 'b.log' } }, {}].map((keys) =>
    configOf({ one }, keys),
  );
  const file = await folder.write('proxy.yaml', configs[0]!);
  const operated = await Operated.start(t, '--config', file);
  const reload = async (config: object): Promise<void> => {
    await folder.write('proxy.yaml', config);
    t.equal((await operated.post('/reload')).status, 202);
  };
  await operated.callOnce('/test.Service/First');
  await reload(configs[1]!);
  await operated.callOnce('/test.Service/Second');
  await reload(configs[2]!);
  await operated.callOnce('/test.Service/Nowhere');
  await reload(configs[1]!);
  await operated.callOnce('/test.Service/Third');

  await folder.write('proxy.yaml', configOf({ one }, { accessLog: { file: 'no/such.log' } }));
  const { status, body } = await operated.post('/reload');
  t.equal(status, 422);
  t.match(JSON.parse(body), { mistakes: [/^accessLog: ENOENT: .*no\/such\.log'$/] });
  await operated.callOnce('/test.Service/Fourth');
  // What is lost is told once a second.
  await pause(1100);
  t.equal((await operated.metrics()).value('grpc_frame_proxy_access_log_dropped_total'), 0);
  t.equal(await operated.end(), 0);
  const methods = async (name: string): Promise<unknown[]> =>
    (await readFile(folder.at(name), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)['grpc.method']);
  t.strictSame(await methods('a.log'), ['First']);
  t.strictSame(await methods('b.log'), ['Second', 'Third', 'Fourth']);
});
