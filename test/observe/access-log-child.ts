// Logs calls to standard output, and tells on standard error what became of it: as if it were a process whose output
// nobody reads, a full disk, and so on.
import { writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { CallObserver } from '../../lib/index.js';
import { accessLog } from '../../lib/observe/access-log/index.js';
import { outcome } from '../support/fake-calls.js';

const calls = Number(process.argv[2]);

let observer: CallObserver | undefined;
const server = {
  observe(given: CallObserver): void {
    observer = given;
  },
  runningCalls: [],
};
const log = accessLog(server, { file: '-' });

let longest = 0;
let last = performance.now();
const watch = setInterval(() => {
  longest = Math.max(longest, performance.now() - last);
  last = performance.now();
}, 1);
for (let i = 0; i < calls; i += 100) {
  for (let j = 0; j < 100; j++) observer?.onCall?.(outcome({ route: `call ${i + j}` }));
  await new Promise(setImmediate);
}
await pause(50);
clearInterval(watch);
const before = log.dropped;
const began = performance.now();
await log.close();
const closing = performance.now() - began;
writeSync(2, `${JSON.stringify({ longest, before, dropped: log.dropped, closing })}\n`);
