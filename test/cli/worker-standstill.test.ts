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
  t.equal((await operated.ask('/metrics')).status, 200);
  await folder.write('proxy.yaml', configOf({ other }));
  t.equal((await operated.post('/reload')).status, 202);
  process.kill(still!, 'SIGCONT');
  // It gets its share of connections.
  for (let i = 0; i < 4; i++) t.equal((await operated.callOnce()).code, 0);
  t.strictSame([primary.calls, other.calls], [0, 4], 'it has heard of it');
  process.kill(still!, 'SIGSTOP');
  t.equal(await operated.end(), 0, 'nor a drain');
});
