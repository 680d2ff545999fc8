import cluster from 'node:cluster';
import { rm } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { Child } from '../support/child.js';
import { MAIN } from '../support/command.js';
import { within } from '../support/within.js';
import { Folder, Operated, startBackend } from './operated.js';

/** Node's flag by which a function runs in the main process and in its workers, before all else; it stands for itself. */
function before(run: (marker: string) => void, marker: string): string[] {
  const source = `
    import cluster from 'node:cluster';
    import { existsSync, writeFileSync } from 'node:fs';
    (${run})(${JSON.stringify(marker)});`;
  return ['--import', `data:text/javascript,${encodeURIComponent(source)}`];
}

declare const existsSync: (path: string) => boolean;
declare const writeFileSync: (path: string, text: string) => void;

/** While there is this file workers hang, and the time that they have is over soon. */
function hangAtStart(marker: string): void {
  if (cluster.isPrimary) {
    const { setTimeout } = globalThis;
    globalThis.setTimeout = ((act: () => void, milliseconds: number) =>
      setTimeout(
        act,
        milliseconds === 60_000 && existsSync(marker) ? 200 : milliseconds,
      )) as typeof setTimeout;
  } else if (existsSync(marker)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

t.test('a worker that hangs at its start is killed, told of and replaced', async (t) => {
  const backend = await startBackend(t);
  const folder = await Folder.make(t);
  const marker = folder.at('marker');
  const flags = ['--primary', `127.0.0.1:${backend.port}`, '--workers', '2'];
  const operated = await Operated.startBy(t, before(hangAtStart, marker), flags);
  const workers = await operated.workers();
  await folder.write('marker', '');
  operated.command.signal('SIGUSR2');
  const why = 'worker 1 \\(process \\d+\\) has not started within 60 s';
  await operated.said(new RegExp(`a new worker 1 does not start, so the old ones go on: ${why}\n`));
  await operated.eventually(
    'it has gone',
    () => operated.workers(),
    ({ length }) => length === 2,
  );
  t.strictSame(await operated.workers(), workers);

  process.kill(workers[0]!, 'SIGKILL');
  await operated.said(new RegExp(`error: worker 1 does not start: ${why}\n`));
  await rm(marker);
  operated.command.signal('SIGUSR2');
  await operated.said(/worker 2 \(process \d+\) is replaced by worker 2 \(process \d+\)\n/);
  t.equal((await operated.workers()).length, 2);
  t.equal(await operated.end(), 0);
});

/** As it is where a signal is sent to the group of the processes. */
function signalAllOnce(marker: string): void {
  if (cluster.isPrimary || existsSync(marker)) return;
  writeFileSync(marker, '');
  for (const pid of [process.ppid, process.pid]) process.kill(pid, 'SIGTERM');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

t.test('SIGTERM to all processes while the first workers start drains them, exit 0', async (t: Test) => {
  const folder = await Folder.make(t);
  const flags = ['--listen', '127.0.0.1:0', '--primary', '127.0.0.1:1', '--workers', '2'];
  const command = Child.node(t, ...before(signalAllOnce, folder.at('marker')), MAIN, ...flags);
  t.equal(await within(30_000, 'the end', command.ended()), 0);
  t.match(command.stdout, /^grpc-frame-proxy listens at /);
  t.match(command.stderr, /SIGTERM: draining.*\n.*drained\n$/);
});
