import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import t, { type Test } from 'tap';
import type { Child } from '../support/child.js';
import { portOf, startCommand } from '../support/command.js';
import { Countdown } from '../support/countdown.js';
import { within } from '../support/within.js';

const CONNECTIONS = 6;

function workersOf({ pid }: Child): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

/** What becomes of a connection: somebody speaks on it, or it is ended. */
function fateOf(t: Test, port: number): Promise<'taken' | 'closed'> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.teardown(() => session.destroy());
  session.on('error', () => {});
  return new Promise((resolve) => {
    session.on('remoteSettings', () => resolve('taken'));
    session.on('close', () => resolve('closed'));
  });
}

t.test(
  'a connection that a worker was handed, and did not take before it was killed, goes to another',
  { skip: process.platform !== 'linux' && 'workers are found by /proc' },
  async (t) => {
    const flags = ['--listen', '127.0.0.1:0', '--primary', '127.0.0.1:1', '--workers', '2'];
    const command = startCommand(t, ...flags);
    const port = await portOf(command);
    const [stopped, ...others] = workersOf(command);
    t.equal(others.length, 1);
    process.kill(stopped!, 'SIGSTOP');
    const fates = Array.from({ length: CONNECTIONS }, () => fateOf(t, port));
    // The main process hands one to each worker, and further ones to those that have taken theirs.
    const taken = new Countdown(CONNECTIONS - 1);
    for (const fate of fates) void fate.then(() => taken.tick());
    await within(20_000, 'the answers of the other worker', taken.done);
    process.kill(stopped!, 'SIGKILL');
    const told = await within(20_000, 'the fate of all connections', Promise.all(fates));
    t.strictSame(told, Array<string>(CONNECTIONS).fill('taken'));
  },
);
