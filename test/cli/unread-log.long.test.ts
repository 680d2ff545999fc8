import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import t from 'tap';
import { Child } from '../support/child.js';
import { MAIN } from '../support/command.js';
import { within } from '../support/within.js';
import { Folder, failWith, Operated, startBackend } from './operated.js';

const INTERNAL = 13;

/** Kinds of failures, a line each: more than a pipe or a socket takes. */
const KINDS = 1000;
const NAME = 'x'.repeat(190);

/** Where standard error goes: to a named pipe that is open for reading, or to the other side of standard input. */
const UNREAD = { pipe: 'pipe', socket: '&0' };

for (const [kind, place] of Object.entries(UNREAD)) {
  for (const workers of [1, 2]) {
    t.test(
      `a ${kind} that nobody reads holds up neither calls nor the end (--workers ${workers})`,
      async (t) => {
        const failing = await startBackend(t, failWith(INTERNAL));
        const folder = await Folder.make(t);
        if (place !== '&0') {
          execFileSync('mkfifo', [folder.at(place)]);
          const fd = openSync(folder.at(place), constants.O_RDONLY | constants.O_NONBLOCK);
          t.teardown(() => closeSync(fd));
        }
        const flags = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--workers', String(workers)];
        const to = place === '&0' ? place : folder.at(place);
        const command = Child.start(
          t,
          ...(['sh', '-c', `exec "$0" "$@" 2>${to}`, process.execPath, MAIN, ...flags] as const),
          ...['--primary', `127.0.0.1:${failing.port}`],
        );
        const operated = await Operated.of(t, command);
        // One for each worker.
        const clients = Array.from({ length: workers }, () => operated.client());
        for (let kinds = 0; kinds < KINDS; kinds += 20) {
          const calls = clients.flatMap((client) =>
            Array.from({ length: 20 }, (_, index) =>
              client.call(`/test.${NAME}/${kinds + index}`, ['hello']),
            ),
          );
          const results = await within(20_000, `call ${kinds} and those behind it`, Promise.all(calls));
          t.notOk(results.some(({ code }) => code !== INTERNAL));
        }
        // Another process of the main one's sets what they have in common to block.
        if (workers > 1) {
          const before = await operated.workers();
          t.equal((await operated.post('/restart')).status, 202);
          await operated.eventually(
            'others',
            () => operated.workers(),
            (pids) => pids.length === workers && !pids.some((pid) => before.includes(pid)),
          );
        }
        t.equal((await operated.ask('/readyz')).status, 200);
        t.equal((await operated.callOnce()).code, INTERNAL);
        t.equal(await operated.end(), 0);
      },
    );
  }
}
