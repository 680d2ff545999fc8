import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { configOf, Folder, isRunning, Operated, startBackend } from './operated.js';

t.test('a worker that stands still holds up neither the admin endpoint nor a reload', async (t) => {
  const primary = await startBackend(t);
  const other = await startBackend(t);
  const folder = await Folder.make(t);
  const file = await folder.write('proxy.yaml', configOf({ primary }));
  const operated = await Operated.start(t, '--config', file, '--workers', '2', '--drain-timeout', '0ms');
  const [still] = await operated.workers();
  t.teardown(() => {
    if (isRunning(still!)) process.kill(still!, 'SIGKILL');
  });
  process.kill(still!, 'SIGSTOP');
  const metrics = operated.ask('/metrics');
  await folder.write('proxy.yaml', configOf({ other }));
  t.equal((await operated.post('/reload')).status, 202);
  t.equal((await metrics).status, 200);
  process.kill(still!, 'SIGCONT');
  // It gets its share of connections.
  for (let i = 0; i < 4; i++) t.equal((await operated.callOnce()).code, 0);
  t.strictSame([primary.calls, other.calls], [0, 4], 'it has heard of it');
  process.kill(still!, 'SIGSTOP');
  const began = performance.now();
  t.equal(await operated.end(), 0, 'nor a drain');
  t.ok(performance.now() - began < 3000, 'it does not get the time that one has that is alive');
  t.match(operated.command.stderr, `worker 1 (process ${still}) has ended before it was drained`);
});

t.test('a worker that dies in the middle of a reload does not fail it', async (t) => {
  const [primary, other] = [await startBackend(t), await startBackend(t)];
  const folder = await Folder.make(t);
  const file = await folder.write('proxy.yaml', configOf({ primary }));
  const operated = await Operated.start(t, '--config', file, '--workers', '2');
  const [still] = await operated.workers();
  process.kill(still!, 'SIGSTOP');
  await folder.write('proxy.yaml', configOf({ other }));
  const reload = operated.post('/reload');
  // Each worker gets one of these, and the one that stands still none further.
  for (let i = 0; i < 2; i++) {
    const socket = net.connect(operated.port, '127.0.0.1').on('error', () => {});
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
  }
  await operated.eventually(
    'the other worker has it',
    async () => {
      await operated.callOnce();
      return other.calls;
    },
    (calls) => calls > 0,
  );
  process.kill(still!, 'SIGKILL');
  t.equal((await reload).status, 202);
  t.equal(await operated.reloads('failed'), 0);
  const before = primary.calls;
  for (let i = 0; i < 4; i++) t.equal((await operated.callOnce()).code, 0);
  await operated.eventually(
    'another one',
    () => operated.workers(),
    ({ length }) => length === 2,
  );
  for (let i = 0; i < 4; i++) t.equal((await operated.callOnce()).code, 0);
  t.equal(primary.calls, before, 'which has it, too');
  t.equal(await operated.end(), 0);
});
