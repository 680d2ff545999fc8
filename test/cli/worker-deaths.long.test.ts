import { rm } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { Reading } from '../observe/metrics-reading.js';
import { echo, Folder, Operated, startBackend, sumOf } from './operated.js';

/** @returns the metrics, of which no counter is less than it was */
async function expectNoFall(t: Test, operated: Operated, before: Reading): Promise<Reading> {
  const after = await operated.metrics();
  for (const [key, value] of before.samples) {
    const [name] = JSON.parse(key) as [string];
    const family = before.types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    if (before.types.get(family) === 'gauge') continue;
    const now = after.samples.get(key);
    if (!(now! >= value)) t.fail(`${key} falls from ${value} to ${now}`);
  }
  return after;
}

t.test('a worker that is killed is replaced within a second, and no counter falls', async (t) => {
  const primary = await startBackend(t, echo);
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${primary.port}`, '--workers', '2');
  for (let i = 0; i < 6; i++) t.equal((await operated.callOnce()).code, 0);
  let before = await operated.metrics();
  t.equal(sumOf(before, 'grpc_server_call_started_total'), 6);
  const [killed, other] = await operated.workers();
  process.kill(killed!, 'SIGKILL');
  const killedAt = performance.now();
  const workers = await operated.eventually(
    'another one',
    () => operated.workers(),
    (pids) => pids.length === 2 && !pids.includes(killed!),
  );
  t.ok(performance.now() - killedAt < 1000, 'within a second');
  t.ok(workers.includes(other!));
  await operated.said(
    new RegExp(`error: worker \\d \\(process ${killed}\\) has died \\(SIGKILL\\), and is replaced`),
  );
  // Nobody was refused meanwhile, and when it runs it gets its share.
  const calls = primary.calls;
  for (let i = 0; i < 6; i++) t.equal((await operated.callOnce()).code, 0);
  before = await expectNoFall(t, operated, before);
  await operated.eventually(
    'both get calls',
    async () => {
      await operated.callOnce();
      return (await operated.json<{ addresses: { connections: number }[] }[]>('/backends'))[0]!;
    },
    ({ addresses }) => addresses[0]!.connections === 2,
  );
  before = await expectNoFall(t, operated, before);
  t.equal(sumOf(before, 'grpc_server_call_started_total'), 6 + primary.calls - calls);
  t.equal((await operated.post('/restart')).status, 202);
  await operated.said(/worker 2 \(process \d+\) is replaced by worker 2 \(process \d+\)\n/);
  const after = await expectNoFall(t, operated, before);
  t.equal(sumOf(after, 'grpc_server_call_started_total'), sumOf(before, 'grpc_server_call_started_total'));
  t.equal(await operated.end(), 0);
});

t.test('where all workers die at once, the new ones take the same free port', async (t) => {
  const primary = await startBackend(t);
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${primary.port}`, '--workers', '2');
  for (const pid of await operated.workers()) process.kill(pid, 'SIGKILL');
  const { body } = await operated.eventually(
    'not ready',
    () => operated.ask('/readyz'),
    ({ status }) => status === 503,
  );
  t.equal(body.trim(), 'no worker is running');
  await operated.eventually(
    'a call',
    () => operated.callOnce(),
    ({ code }) => code === 0,
  );
  t.equal((await operated.ask('/readyz')).status, 200);
});

t.test('a worker that dies at its start is tried again, less and less often', async (t) => {
  const primary = await startBackend(t);
  const folder = await Folder.make(t);
  const marker = folder.at('marker');
  const deadly = `data:text/javascript,${encodeURIComponent(`
    import cluster from 'node:cluster';
    import { existsSync } from 'node:fs';
    if (cluster.isWorker && existsSync(${JSON.stringify(marker)})) process.exit(7);`)}`;
  const flags = ['--primary', `127.0.0.1:${primary.port}`, '--workers', '2'];
  const operated = await Operated.startBy(t, ['--import', deadly], flags);
  const [killed, other] = await operated.workers();
  await folder.write('marker', '');

  operated.command.signal('SIGUSR2');
  await operated.said(/error: a new worker 1 does not start, so the old ones go on: .* exit code 7\n/);
  t.strictSame(await operated.workers(), [killed, other]);

  process.kill(killed!, 'SIGKILL');
  const times: number[] = [];
  for (let count = 1; count <= 3; count++) {
    const line = `(worker \\d does not start: worker \\d \\(process \\d+\\) has ended: exit code 7\\n[^]*){${count}}`;
    await operated.said(new RegExp(line));
    times.push(performance.now());
  }
  t.ok(times[2]! - times[1]! > 150, 'the third waits for 200 ms at least');
  t.equal((await operated.callOnce()).code, 0, 'the other one takes the calls');
  await rm(marker);
  await operated.eventually(
    'both',
    () => operated.workers(),
    (pids) => pids.length === 2,
  );
  t.equal(await operated.end(), 0);
});
