import t from 'tap';
import { Operated, startBackend } from './operated.js';

/** The main process stands still when it has told a worker to drain, for longer than the worker takes for that. */
const SLOW_MAIN = `
  import cluster from 'node:cluster';
  import { writeSync } from 'node:fs';
  const standStill = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  const isDrain = (message) => message?.method === 'drain';
  if (cluster.isPrimary) {
    cluster.on('fork', ({ process }) => {
      const { send } = process;
      process.send = function (message, ...others) {
        const isSent = send.call(this, message, ...others);
        if (isDrain(message)) {
          writeSync(2, 'now is the time\\n');
          standStill(1500);
        }
        return isSent;
      };
    });
  } else {
    process.on('message', (message) => isDrain(message) && standStill(700));
  }
`;

const NODE_FLAGS = ['--import', `data:text/javascript,${encodeURIComponent(SLOW_MAIN)}`];

t.test('connections that are handed to a worker while it leaves go to another', async (t) => {
  const backend = await startBackend(t);
  const flags = ['--workers', '2', '--primary', `127.0.0.1:${backend.port}`];
  const operated = await Operated.startBy(t, NODE_FLAGS, flags);
  operated.command.signal('SIGUSR2');
  await operated.said(/now is the time/);
  const results = await Promise.all(Array.from({ length: 9 }, () => operated.callOnce()));
  t.strictSame(
    results.map(({ code }) => code),
    Array.from({ length: 9 }, () => 0),
  );
});
