import { readdirSync, readFileSync } from 'node:fs';
import http2 from 'node:http2';
import t, { type Test } from 'tap';
import { Child } from '../support/child.js';
import { MAIN, portOf, startCommand } from '../support/command.js';
import { Countdown } from '../support/countdown.js';
import { eventually } from '../support/eventually.js';
import { within } from '../support/within.js';

const CONNECTIONS = 6;

const skip = process.platform !== 'linux' && 'processes are looked at by /proc';

function workersOf({ pid }: Child): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

async function stop(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await eventually(`process ${pid} stands still`, () => stateOf(pid) === 'T');
}

/** Also of its last thread: until then its files are open. Whose child it is has not noticed. */
async function kill(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  const hasEnded = () => stateOf(pid) === 'Z' && readdirSync(`/proc/${pid}/task`).length === 1;
  await eventually(`process ${pid} ends`, hasEnded);
}

function stateOf(pid: number): string | undefined {
  return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
}

/** A connection, and what becomes of it: somebody speaks on it, or it is ended. */
function connectTo(t: Test, port: number) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  session.on('error', () => {});
  return {
    connected: new Promise<void>((resolve) => session.on('connect', () => resolve())),
    fate: new Promise<'taken' | 'closed'>((resolve) => {
      session.on('remoteSettings', () => resolve('taken'));
      session.on('close', () => resolve('closed'));
    }),
  };
}

/** Of two workers the first stands still, and has been handed a connection; the other one has taken all others. */
async function standstill(t: Test, ...flags: readonly string[]) {
  const command = startCommand(
    t,
    ...['--listen', '127.0.0.1:0', '--primary', '127.0.0.1:1', '--workers', '2', ...flags],
  );
  const port = await portOf(command);
  const [still, other] = workersOf(command) as [number, number];
  await stop(still);
  const fates = Array.from({ length: CONNECTIONS }, () => connectTo(t, port).fate);
  // The main process hands one to each worker, and further ones to those that have taken theirs.
  const taken = new Countdown(CONNECTIONS - 1);
  for (const fate of fates) void fate.then(() => taken.tick());
  await within(20_000, 'the answers of the other worker', taken.done);
  return { command, port, still, other, fates };
}

function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  return within(20_000, 'the fate of all connections', Promise.all(promises));
}

t.test(
  'a connection that a worker was handed, and did not take before it was killed, goes to another',
  { skip },
  async (t) => {
    const { still, fates } = await standstill(t);
    process.kill(still, 'SIGKILL');
    t.strictSame(await all(fates), Array<string>(CONNECTIONS).fill('taken'));
  },
);

t.test(
  'one that comes at another address before its end is told goes to another, too',
  { skip },
  async (t) => {
    const { command, still, fates } = await standstill(t, '--listen', '127.0.0.1:0');
    const port = Number(/, 127\.0\.0\.1:(\d+);/.exec(command.stdout)?.[1]);
    // It finds in one turn that the channel has ended, then these, whose turn is that worker's, and at last its exit.
    await stop(command.pid);
    await kill(still);
    const late = Array.from({ length: CONNECTIONS }, () => connectTo(t, port));
    await Promise.all(late.map(({ connected }) => connected));
    command.signal('SIGCONT');
    t.strictSame(
      await all([...fates, ...late.map(({ fate }) => fate)]),
      Array(2 * CONNECTIONS).fill('taken'),
    );
  },
);

t.test('where there is no other one it is closed', { skip }, async (t) => {
  const { port, still, other, fates } = await standstill(t);
  await stop(other);
  // One for it, and those that wait for either.
  const late = Array.from({ length: CONNECTIONS }, () => connectTo(t, port));
  await Promise.all(late.map(({ connected }) => connected));
  // It finds that the channel of the last one has ended before it finds that the process has.
  for (const pid of [other, still]) process.kill(pid, 'SIGKILL');
  const told = await all([...fates, ...late.map(({ fate }) => fate)]);
  t.strictSame(told.filter((fate) => fate === 'closed').length, 1 + CONNECTIONS);
});

/** On SIGWINCH a worker uses all file descriptors that it may have, and on the next one it has some again. */
const FULL = `
  import cluster from 'node:cluster';
  import { closeSync, openSync } from 'node:fs';
  const files = [];
  if (cluster.isWorker) process.on('SIGWINCH', () => {
    if (files.length > 0) for (const file of files.splice(0)) closeSync(file);
    else try { for (;;) files.push(openSync('/dev/null')); } catch {}
    console.error(files.length > 0 ? 'full' : 'free');
  });`;

t.test('a connection that a worker has no file descriptor for goes to another', { skip }, async (t) => {
  const command = Child.start(
    t,
    ...(['sh', '-c', 'ulimit -n 1000 && exec "$@"', 'sh', process.execPath] as const),
    ...['--import', `data:text/javascript,${encodeURIComponent(FULL)}`, MAIN],
    ...['--listen', '127.0.0.1:0', '--primary', '127.0.0.1:1', '--workers', '2'],
  );
  const port = await portOf(command);
  const [full, other] = workersOf(command) as [number, number];
  process.kill(full, 'SIGWINCH');
  await command.printed(/full/);
  const fates = Array.from({ length: CONNECTIONS }, () => connectTo(t, port).fate);
  t.strictSame(await all(fates), Array<string>(CONNECTIONS).fill('taken'));

  process.kill(full, 'SIGWINCH');
  await command.printed(/free/);
  t.teardown(() => process.kill(other, 'SIGKILL'));
  await stop(other);
  const late = [1, 2].map(() => connectTo(t, port).fate);
  t.equal(await within(20_000, 'its answer', Promise.race(late)), 'taken', 'it has its turn again');
});
