import t from 'tap';
import { Operated, startBackend } from './operated.js';

/** On SIGWINCH Node cannot be started any more, on the next one it can: as while it is upgraded, or without processes left. */
const MISSING_NODE = `
  const path = process.execPath;
  process.on('SIGWINCH', () => {
    process.execPath = process.execPath === path ? '/missing/node' : path;
    console.error('Node is at', process.execPath);
  });
`;

/** Runs it in the main process and, without effect, in its workers. */
const NODE_FLAGS = ['--import', `data:text/javascript,${encodeURIComponent(MISSING_NODE)}`];

t.test('a worker that cannot be started is tried again, and keeps nothing from ending', async (t) => {
  const backend = await startBackend(t);
  const flags = ['--workers', '2', '--primary', `127.0.0.1:${backend.port}`];
  const operated = await Operated.startBy(t, NODE_FLAGS, flags);
  operated.command.signal('SIGWINCH');
  await operated.said(/Node is at/);
  operated.command.signal('SIGUSR2');
  await operated.said(/a new worker 1 does not start, so the old ones go on: .*ENOENT/);
  t.equal((await operated.callOnce()).code, 0, 'the old ones go on');

  operated.command.signal('SIGWINCH');
  await operated.saidTimes(2, /Node is at/);
  operated.command.signal('SIGUSR2');
  await operated.said(/worker 2 \(process \d+\) is replaced by worker 2 \(process \d+\)\n/);

  operated.command.signal('SIGWINCH');
  await operated.saidTimes(3, /Node is at/);
  operated.command.signal('SIGUSR2');
  await operated.saidTimes(2, /does not start, so the old ones go on/);
  t.equal(await operated.end(), 0);
});
