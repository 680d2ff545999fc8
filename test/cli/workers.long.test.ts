import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import net from 'node:net';
import t from 'tap';
import { startCommand } from '../support/command.js';
import { eventually } from '../support/eventually.js';
import { type BidiCall, type CallResult, collect } from '../support/grpc-client.js';
import { configOf, echo, Folder, isRunning, METHOD, Operated, startBackend, sumOf } from './operated.js';

/** A call that runs until it is told otherwise. */
async function openCall(operated: Operated): Promise<{ call: BidiCall; result: Promise<CallResult> }> {
  const call = operated.client().open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('hello'));
  await once(call, 'data');
  return { call, result };
}

t.test('workers share the addresses, and the admin endpoint answers for all of them', async (t) => {
  const primary = await startBackend(t, echo);
  const folder = await Folder.make(t);
  const file = await folder.write('proxy.yaml', configOf({ primary }));
  const operated = await Operated.start(
    t,
    ...['--config', file, '--workers', '2', '--listen', '127.0.0.1:0', '--listen', '127.0.0.1:0'],
  );
  t.equal((await operated.workers()).length, 2);
  const second = Number(/, 127\.0\.0\.1:(\d+);/.exec(operated.command.stdout)![1]);
  t.not(second, operated.port, 'two free ports');
  t.equal((await operated.callOnce(METHOD, second)).code, 0);
  // One in each.
  const running = [await openCall(operated), await openCall(operated)];
  t.equal(primary.sessions.length, 2, "each worker's own");
  t.equal((await operated.json<unknown[]>('/calls')).length, 2);
  t.match(await operated.json('/backends'), [
    { name: 'primary', state: 'READY', addresses: [{ connections: 2, calls: 2 }] },
  ]);
  const metrics = await operated.metrics();
  t.equal(sumOf(metrics, 'grpc_server_call_started_total'), 3);
  t.strictSame(metrics.all('grpc_frame_proxy_calls_running'), { '': 2 });
  t.equal(Object.keys(metrics.all('grpc_frame_proxy_build_info')).length, 1, 'one build');
  t.equal(metrics.value('grpc_frame_proxy_backend_connections', { backend: 'primary', state: 'READY' }), 2);
  t.equal((await operated.ask('/readyz')).status, 200);

  // A reload reaches both.
  const other = await startBackend(t, echo);
  await folder.write('proxy.yaml', configOf({ other }));
  t.equal((await operated.post('/reload')).status, 202);
  for (let i = 0; i < 4; i++) t.equal((await operated.callOnce()).code, 0);
  t.strictSame([other.calls, primary.calls], [4, 3]);
  for (const { call, result } of running) {
    call.end();
    t.equal((await result).code, 0);
  }
  t.equal(await operated.end(), 0);
});

t.test('workers end when the main process is killed', async (t) => {
  const primary = await startBackend(t);
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${primary.port}`, '--workers', '2');
  const workers = await operated.workers();
  operated.command.signal('SIGKILL');
  t.equal(await operated.ended(), null);
  await eventually('they end', () => !workers.some(isRunning), 10_000);
});

t.test('workers listen at a unix socket, that of a process that was killed included', async (t) => {
  const primary = await startBackend(t);
  const folder = await Folder.make(t);
  const path = folder.at('proxy.sock');
  const flags = ['--primary', `127.0.0.1:${primary.port}`, '--listen', `unix:${path}`, '--workers', '2'];
  const killed = await Operated.start(t, ...flags);
  t.equal((await killed.callOnce(METHOD, `unix:${path}`)).code, 0);
  const old = await killed.workers();
  killed.command.signal('SIGKILL');
  await killed.ended();
  await eventually('its workers end', () => !old.some(isRunning), 10_000);
  t.ok((await stat(path)).isSocket(), 'a dead one');

  const operated = await Operated.start(t, ...flags);
  const [worker] = await operated.workers();
  for (let i = 0; i < 4; i++) t.equal((await operated.callOnce(METHOD, `unix:${path}`)).code, 0);
  operated.command.signal('SIGUSR2');
  await operated.said(/worker 2 \(process \d+\) is replaced by/);
  t.notOk(isRunning(worker!));
  t.equal((await operated.callOnce(METHOD, `unix:${path}`)).code, 0);
  t.equal(await operated.end(), 0);
  await t.rejects(stat(path), { code: 'ENOENT' });
});

t.test('an address in use is told once, exit 1, also where there are workers', async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as net.AddressInfo;
  const folder = await Folder.make(t);
  const path = folder.at('proxy.sock');
  const atPath = net.createServer().listen(path);
  t.teardown(() => atPath.close());
  await once(atPath, 'listening');
  for (const [address, why] of [
    [`127.0.0.1:${port}`, 'the address is in use'],
    [`unix:${path}`, 'the socket exists already'],
  ]) {
    const command = startCommand(t, '--listen', address!, '--primary', 'a:1', '--workers', '2');
    t.equal(await command.ended(), 1);
    t.equal(command.stderr, `grpc-frame-proxy: cannot listen at ${address}: ${why}\n`);
  }
  t.ok((await stat(path)).isSocket(), 'and stays');
});
