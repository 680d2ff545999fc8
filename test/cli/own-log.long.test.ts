import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { startCommand } from '../support/command.js';
import { collect } from '../support/grpc-client.js';
import { Http2Backend, respond } from '../support/http2-backend.js';
import { configOf, Folder, failWith, METHOD, Operated, startBackend } from './operated.js';

const UNAVAILABLE = 14;
const INTERNAL = 13;

t.test('--log-format json: each line is an object with its time, level, and who says it', async (t) => {
  const failing = await startBackend(t, failWith(INTERNAL));
  const folder = await Folder.make(t);
  const file = await folder.write('proxy.yaml', configOf({ failing }));
  const operated = await Operated.start(t, '--config', file, '--log-format', 'json', '--workers', '2');
  t.equal((await operated.callOnce()).code, INTERNAL);
  await folder.write('proxy.yaml', '');
  t.equal((await operated.post('/reload')).status, 422);
  t.equal(await operated.end(), 0);
  const lines = operated.command.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (const { time, level, message } of lines) {
    t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    t.match(level, /^(error|warn|info|debug)$/);
    t.type(message, 'string');
  }
  t.match(
    lines.find(({ message }) => /is reachable/.test(message)),
    {
      level: 'info',
      process: /^process \d+$/,
    },
  );
  t.match(
    lines.find(({ message }) => /fails with INTERNAL/.test(message)),
    { level: 'warn' },
  );
  const mistake = lines.find(({ message }) => /is empty/.test(message));
  t.equal(mistake.level, 'error');
  t.equal(mistake.process, undefined, 'the main process');
  t.match(lines.at(-1), { level: 'info', message: 'drained' });
});

t.test('--log-format json: why it does not start is told so, too', async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const address = `127.0.0.1:${(taken.address() as net.AddressInfo).port}`;
  const folder = await Folder.make(t);
  const file = await folder.write('proxy.yaml', { listen: 1, workers: 0 });
  const cases: [args: string[], exitCode: number, said: RegExp[]][] = [
    [['--frobnicate', '--log-format', 'json'], 2, [/^unknown option --frobnicate/]],
    [['--log-format=json', '--log-level', 'loud'], 2, [/^--log-level: "loud" is none/]],
    [
      ['--config', file, '--check', '--log-format', 'json'],
      2,
      [/yaml:1:1: .*routes: is missing/, /yaml:1:11: .*listen/, /yaml:1:23: .*workers/],
    ],
    [['--listen', address, '--log-format', 'json'], 1, [/^cannot listen at .*: the address is in use$/]],
  ];
  await Promise.all(
    cases.map(async ([args, exitCode, said]) => {
      const command = startCommand(t, ...args);
      t.equal(await command.ended(), exitCode);
      const lines = command.stderr.trimEnd().split('\n');
      t.match(
        lines.map((line) => JSON.parse(line)),
        said.map((message) => ({ level: 'error', time: /Z$/, message })),
      );
    }),
  );
});

const LEVELS: readonly (readonly [level: string, said: readonly RegExp[], unsaid: readonly RegExp[]])[] = [
  ['error', [/error: .*is empty/], [/warn: /, /: drained/, /debug: /]],
  ['warn', [/error: .*is empty/, /warn: .*fails with INTERNAL/], [/: drained/, /debug: /]],
  ['info', [/error: .*is empty/, /warn: .*fails with INTERNAL/, /: drained/], [/debug: /]],
  ['debug', [/error: .*is empty/, /warn: .*INTERNAL/, /: drained/, /debug: .*\(client_cancelled\)/], []],
];

for (const [level, said, unsaid] of LEVELS) {
  t.test(`--log-level ${level}`, async (t) => {
    const failing = await startBackend(t, ({ stream, headers }) => {
      if (headers[':path'] === METHOD) respond(stream, undefined, { 'grpc-status': String(INTERNAL) });
    });
    const folder = await Folder.make(t);
    const file = await folder.write('proxy.yaml', configOf({ failing }));
    const operated = await Operated.start(t, '--config', file, '--log-level', level);
    t.equal((await operated.callOnce()).code, INTERNAL);
    const cancelled = operated.client().open('/test.Service/Cancelled');
    const result = collect(cancelled);
    await operated.eventually(
      'it runs',
      async () => failing.calls,
      (calls) => calls === 2,
    );
    cancelled.cancel();
    await result;
    await operated.eventually(
      'it ends',
      () => operated.json<unknown[]>('/calls'),
      ({ length }) => length === 0,
    );
    await folder.write('proxy.yaml', '');
    t.equal((await operated.post('/reload')).status, 422);
    t.equal(await operated.end(), 0);
    for (const pattern of said) t.match(operated.command.stderr, pattern);
    for (const pattern of unsaid) t.notMatch(operated.command.stderr, pattern);
  });
}

t.test('failed calls are told once for each kind, and then counted, never a line each', async (t) => {
  const failing = await startBackend(t, ({ stream, headers }) => {
    const code = headers[':path'] === METHOD ? INTERNAL : UNAVAILABLE;
    respond(stream, undefined, { 'grpc-status': String(code) });
  });
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${failing.port}`);
  const client = operated.client();
  for (let i = 0; i < 100; i++) t.equal((await client.call(METHOD, ['hello'])).code, INTERNAL);
  for (let i = 0; i < 50; i++) t.equal((await client.call('/test.Service/Other', [''])).code, UNAVAILABLE);
  await operated.saidTimes(1, /\/test\.Service\/Method .*fails with INTERNAL \(backend_status\)/);
  await operated.saidTimes(1, /\/test\.Service\/Other .*fails with UNAVAILABLE \(backend_status\)/);
  t.equal(await operated.end(), 0);
  await operated.saidTimes(
    1,
    /\/test\.Service\/Method .*fails with INTERNAL \(backend_status\): 99 more times/,
  );
  await operated.saidTimes(
    1,
    /\/test\.Service\/Other .*fails with UNAVAILABLE \(backend_status\): 49 more times/,
  );
  await operated.saidTimes(4, /fails with/);
});

t.test('a backend that ceases to be reachable, and becomes so again, is told with the reason', async (t) => {
  const backend = await startBackend(t);
  const { port } = backend;
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${port}`);
  t.equal((await operated.callOnce()).code, 0);
  await operated.saidTimes(1, /: backend primary \(127\.0\.0\.1:\d+\) is reachable$/);
  backend.destroy();
  await operated.eventually(
    'a failure',
    () => operated.callOnce(),
    ({ code }) => code === UNAVAILABLE,
  );
  await operated.saidTimes(1, /: warn: backend primary \(127\.0\.0\.1:\d+\) is not reachable: .*refused/);
  const again = await Http2Backend.start(({ stream }) => respond(stream), {}, port);
  t.teardown(() => again.destroy());
  await operated.eventually(
    'a success',
    () => operated.callOnce(),
    ({ code }) => code === 0,
  );
  await operated.saidTimes(2, /: backend primary \(127\.0\.0\.1:\d+\) is reachable$/);
  t.equal(await operated.end(), 0);
});
