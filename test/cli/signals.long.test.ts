import { once } from 'node:events';
import { readFile, rename } from 'node:fs/promises';
import t from 'tap';
import { Child } from '../support/child.js';
import { MAIN } from '../support/command.js';
import { eventually } from '../support/eventually.js';
import { collect } from '../support/grpc-client.js';
import { within } from '../support/within.js';
import { configOf, echo, Folder, isRunning, METHOD, Operated, startBackend } from './operated.js';

/** As GNU timeout and npm do it. */
const ECHO = `
  import cluster from 'node:cluster';
  const signals = cluster.isPrimary ? ['SIGINT', 'SIGTERM'] : [];
  for (const signal of signals) process.once(signal, () => process.kill(process.pid, signal));`;

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  t.test(
    `a second ${signal}, and no echo of the first, ends at once, workers too, with exit code ${code}`,
    async (t) => {
      const primary = await startBackend(t, echo);
      const operated = await Operated.startBy(
        t,
        ['--import', `data:text/javascript,${encodeURIComponent(ECHO)}`],
        ['--primary', `127.0.0.1:${primary.port}`, '--workers', '2'],
      );
      const workers = await operated.workers();
      t.equal(workers.length, 2);
      const call = operated.client().open(METHOD);
      const result = collect(call);
      call.write(Buffer.from('hello'));
      await once(call, 'data');
      operated.command.signal(signal);
      await operated.said(new RegExp(`${signal}: draining\\n.*${signal}: send it again to end at once\\n`));
      t.equal(await operated.end(signal), code);
      t.match(operated.command.stderr, /draining/, 'what it had said is not lost');
      t.equal((await result).code, 14);
      await eventually('the workers end', () => !workers.some(isRunning), 10_000);
    },
  );
}

t.test('POST /drain is SIGTERM, and the signal that follows is not its second', async (t) => {
  const primary = await startBackend(t, echo);
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${primary.port}`);
  const call = operated.client().open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('hello'));
  await once(call, 'data');
  t.equal((await operated.post('/drain')).status, 202);
  await operated.said(/POST \/drain: draining\n/);
  t.equal((await operated.ask('/readyz')).status, 503);
  t.equal((await operated.post('/drain')).status, 202, 'again, which changes nothing');
  // As Kubernetes does it behind its preStop hook.
  operated.command.signal('SIGTERM');
  t.equal((await operated.ask('/readyz')).status, 503);
  call.end();
  t.equal((await result).code, 0);
  t.equal(await operated.ended(), 0);
});

t.test('signals that come while it starts are for when it has started', async (t) => {
  const folder = await Folder.make(t);
  const primary = await startBackend(t);
  const file = await folder.write('proxy.yaml', configOf({ primary }));
  // When it is about to listen.
  const early = `data:text/javascript,${encodeURIComponent(`
    import net from 'node:net';
    const { listen } = net.Server.prototype;
    net.Server.prototype.listen = function (...values) {
      net.Server.prototype.listen = listen;
      for (const signal of ['SIGHUP', 'SIGUSR2', 'SIGTERM']) process.kill(process.pid, signal);
      return listen.apply(this, values);
    };`)}`;
  const command = Child.node(t, '--import', early, MAIN, '--listen', '127.0.0.1:0', '--config', file);
  t.equal(await within(30_000, 'the end', command.ended()), 0);
  t.match(command.stdout, /^grpc-frame-proxy listens at /);
  t.match(command.stderr, /there are no workers to replace/);
  t.match(command.stderr, /SIGTERM: draining.*\n.*drained\n$/);
});

for (const workers of [1, 2]) {
  t.test(`SIGHUP opens the access log anew, without a config, too (--workers ${workers})`, async (t) => {
    const folder = await Folder.make(t);
    const primary = await startBackend(t);
    const file = folder.at('calls.log');
    const flags = ['--primary', `127.0.0.1:${primary.port}`, '--access-log', file];
    const operated = await Operated.start(t, ...flags, '--workers', String(workers));
    // One for each worker.
    const clients = Array.from({ length: workers }, () => operated.client());
    for (const client of clients) t.equal((await client.call('/test.Service/First', [''])).code, 0);
    const lines = async (path: string): Promise<number> =>
      (await readFile(path, 'utf8')).split('\n').length - 1;
    await operated.eventually(
      'the lines',
      () => lines(file),
      (count) => count === workers,
    );
    await rename(file, folder.at('rotated.log'));
    operated.command.signal('SIGHUP');
    await operated.eventually(
      'a new file',
      () => lines(file).catch(() => -1),
      (count) => count === 0,
    );
    for (const client of clients) t.equal((await client.call('/test.Service/Second', [''])).code, 0);
    t.equal(await operated.end(), 0);
    t.equal(await lines(folder.at('rotated.log')), workers);
    t.equal(await lines(file), workers);
    t.match(await readFile(file, 'utf8'), /"grpc.method":"Second"/);
  });
}

t.test('SIGUSR2 with one process is a line in the log, and nothing else', async (t) => {
  const primary = await startBackend(t, echo);
  const operated = await Operated.start(t, '--primary', `127.0.0.1:${primary.port}`);
  const call = operated.client().open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('hello'));
  await once(call, 'data');
  operated.command.signal('SIGUSR2');
  await operated.said(/there are no workers to replace: this is one process\n/);
  t.equal((await operated.ask('/readyz')).status, 200);
  t.equal((await operated.post('/restart')).status, 409);
  call.end();
  t.equal((await result).code, 0);
});
