import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Child } from '../support/child.js';

const BIN = fileURLToPath(new URL('../../lib/cli/bin.js', import.meta.url));
const ARGUMENTS = ['--listen', '127.0.0.1:0', '--primary', '127.0.0.1:1'];
const HEAP = '--initial-heap-size=';

/** The words that a process was started by, last. */
function commandLine(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}

const skip = process.platform !== 'linux' && 'only Linux has /proc';
const options = {
  skip: skip || (process.execve === undefined && 'this Node cannot become another program'),
};

t.test(
  'the installed command becomes a Node with a larger heap, and gets its signals',
  options,
  async (t) => {
    const command = Child.node(t, '--no-warnings', BIN, ...ARGUMENTS);
    await command.printed(/listens at /);
    const [, ...words] = commandLine(command.pid);
    t.strictSame(words, [`${HEAP}64`, '--no-warnings', BIN.replace(/bin\.js$/, 'main.js'), ...ARGUMENTS]);
    command.signal('SIGTERM');
    t.equal(await command.ended(), 0);
  },
);

t.test('whoever says how large the heap is to be is heard', options, async (t) => {
  const command = Child.node(t, `${HEAP}128`, BIN, ...ARGUMENTS);
  await command.printed(/listens at /);
  t.strictSame(
    commandLine(command.pid).filter((word) => word.startsWith(HEAP)),
    [`${HEAP}128`],
  );
});

t.test('workers of any Node have the larger heap', { skip }, async (t) => {
  const command = Child.node(t, BIN, ...ARGUMENTS, '--workers', '2');
  await command.printed(/listens at /);
  const children = readFileSync(`/proc/${command.pid}/task/${command.pid}/children`, 'utf8');
  const workers = children.trim().split(' ').map(Number);
  for (const worker of workers) {
    const said = commandLine(worker).filter((word) => word.startsWith(HEAP));
    t.strictSame(said, [`${HEAP}64`]);
  }
  t.equal(workers.length, 2);
});
