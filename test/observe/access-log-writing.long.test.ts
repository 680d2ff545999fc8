import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs, { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { deferred } from '../../lib/call/deferred.js';
import { linesIn } from '../../lib/observe/access-log/line-queue.js';
import { LineWriter } from '../../lib/observe/access-log/line-writer.js';
import type { Sink } from '../../lib/observe/access-log/sink.js';
import { eventually } from '../support/eventually.js';
import { within } from '../support/within.js';

const CHILD = fileURLToPath(new URL('access-log-child.js', import.meta.url));
const { O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants;

async function directoryOf(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'access-log-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function writer(t: Test, file: string): { log: LineWriter; drops: [number, string][] } {
  const drops: [number, string][] = [];
  const log = new LineWriter(file, (count, why) => drops.push([count, why]));
  t.teardown(() => log.close());
  return { log, drops };
}

function line(index: number, length = 100): string {
  return `${JSON.stringify({ index, filler: 'x'.repeat(length) })}\n`;
}

/** The indices of the lines, each of which must be whole. */
function indicesIn(text: string): number[] {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line is torn');
  return text
    .split('\n')
    .slice(0, -1)
    .map((each) => (JSON.parse(each) as { index: number }).index);
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

t.test('lines are appended to the file, all of them, in their order', async (t) => {
  const file = join(await directoryOf(t), 'log');
  fs.writeFileSync(file, line(0));
  const { log } = writer(t, file);
  for (let i = 1; i < 5000; i++) log.add(line(i));
  await eventually('they are there', () => fs.statSync(file).size > 500_000);
  log.add(line(5000));
  await log.close();
  t.strictSame(indicesIn(readFileSync(file, 'utf8')), upTo(5001));
  t.equal(log.dropped, 0);
  log.add(line(5001));
  t.equal(log.dropped, 1, 'and none behind the end');
});

t.test('what waits when the process ends is written before it does', async (t) => {
  const file = join(await directoryOf(t), 'log');
  const { log } = writer(t, file);
  for (let i = 0; i < 2000; i++) log.add(line(i));
  log.flush();
  t.strictSame(indicesIn(readFileSync(file, 'utf8')), upTo(2000));
  await log.close();
  log.flush();
  t.strictSame(indicesIn(readFileSync(file, 'utf8')), upTo(2000), 'once');
});

t.test('what is taken in parts when the process ends is written whole', async (t) => {
  const file = join(await directoryOf(t), 'log');
  const { log } = writer(t, file);
  for (let i = 0; i < 20; i++) log.add(line(i));
  const { writeSync } = fs;
  t.teardown(() => {
    fs.writeSync = writeSync;
  });
  // As a terminal does.
  fs.writeSync = ((fd: number, bytes: Buffer) =>
    writeSync(fd, bytes, 0, Math.min(150, bytes.length))) as typeof writeSync;
  t.doesNotThrow(() => log.flush());
  fs.writeSync = writeSync;
  t.strictSame(indicesIn(readFileSync(file, 'utf8')), upTo(20));
});

/** Takes what is written at once; else it is asked for ever whether it is still there, or has no room behind some bytes. */
class StuckSink implements Sink {
  readonly chunkBytes = 1000;
  text = '';
  isAsked = deferred<void>();
  #room: number | undefined;

  /** @param room undefined: it is asked for ever */
  constructor(room: number | undefined) {
    this.#room = room;
  }

  isLost(): Promise<boolean> {
    if (this.#room !== undefined) return Promise.resolve(false);
    this.isAsked.resolve();
    return new Promise(() => {});
  }

  async write(chunk: Buffer): Promise<number> {
    const room = this.#room!;
    if (room === 0) {
      this.isAsked.resolve();
      throw Object.assign(new Error('EAGAIN'), { code: 'EAGAIN' });
    }
    this.#room = 0;
    this.text += chunk.toString('latin1', 0, room);
    return room;
  }

  writeNow(chunk: Buffer): void {
    this.text += chunk.toString('latin1');
  }

  close(): void {}
}

for (const room of [undefined, 30]) {
  const where = room === undefined ? 'has not reached the file' : 'is torn';
  t.test(`what ${where} when the process ends is written first`, async (t) => {
    const sink = new StuckSink(room);
    const log = new LineWriter('', undefined, { open: async () => sink, openNow: () => sink });
    log.add(line(0));
    log.add(line(1));
    await within(5000, 'the sink is asked', sink.isAsked.promise);
    log.add(line(2));
    log.flush();
    t.strictSame(indicesIn(sink.text), upTo(3));
    await log.close();
    t.strictSame(indicesIn(sink.text), upTo(3), 'once');
  });
}

t.test('a file that cannot be opened is told at once', async (t) => {
  const directory = await directoryOf(t);
  t.throws(() => new LineWriter(join(directory, 'no', 'such')), { code: 'ENOENT' });
  t.throws(() => new LineWriter(directory), { code: 'EISDIR' });
});

t.test('reopen goes on in the new file, and tears no line', async (t) => {
  const directory = await directoryOf(t);
  const file = join(directory, 'log');
  const { log } = writer(t, file);
  for (let i = 0; i < 3000; i++) {
    log.add(line(i));
    if (i % 1000 === 999) {
      await rename(file, join(directory, `log.${i}`));
      t.equal(await log.reopen(), undefined);
    }
  }
  log.add(line(3000));
  await log.close();
  const all = fs.readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
  t.equal(all.length, 4);
  t.strictSame(
    all.flatMap(indicesIn).sort((a, b) => a - b),
    upTo(3001),
  );
  t.strictSame(indicesIn(readFileSync(file, 'utf8')).at(-1), 3000);
});

t.test('where the file cannot be opened anew, the old one stays, and it is said why', async (t) => {
  const directory = await directoryOf(t);
  const file = join(directory, 'log');
  const { log } = writer(t, file);
  const moved = `${file}.1`;
  await rename(file, moved);
  fs.mkdirSync(file);
  t.match(await log.reopen(), { code: 'EISDIR' });
  log.add(line(0));
  await eventually('it is written', () => readFileSync(moved, 'utf8') !== '');
  t.equal(log.dropped, 0);
});

t.test('a file that was deleted is made anew', async (t) => {
  const file = join(await directoryOf(t), 'log');
  const { log } = writer(t, file);
  log.add(line(0));
  await eventually('it is written', () => readFileSync(file, 'utf8') !== '');
  await rm(file);
  let index = 1;
  await eventually('there is another', () => {
    log.add(line(index++));
    return existsSync(file) && fs.statSync(file).size > 0;
  });
  await log.close();
  const found = indicesIn(readFileSync(file, 'utf8'));
  t.strictSame(found, upTo(index).slice(-found.length), 'that has the last lines');
});

t.test(
  'a full disk: what cannot be written is dropped, counted and told, and it is tried again',
  { skip: existsSync('/dev/full') ? false : 'there is no /dev/full here' },
  async (t) => {
    const { log, drops } = writer(t, '/dev/full');
    log.add(line(0));
    log.add(line(1));
    await eventually('they are dropped', () => log.dropped === 2);
    log.add(line(2));
    await eventually('the next one, too', () => log.dropped === 3);
    log.add(line(3));
    await within(500, 'the end', log.close());
    t.equal(log.dropped, 4);
    t.equal(
      drops.reduce((sum, [count]) => sum + count, 0),
      4,
    );
    t.match(drops[0]?.[1], /ENOSPC/);
  },
);

/** A file on a disk that is full from some size on. */
class SmallDisk implements Sink {
  readonly chunkBytes = 1000;
  text = '';
  size: number;
  isReplaced = false;

  constructor(size: number) {
    this.size = size;
  }

  async write(chunk: Buffer): Promise<number> {
    const room = this.size - this.text.length;
    if (room === 0) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    this.text += chunk.toString('latin1', 0, room);
    return Math.min(room, chunk.length);
  }

  writeNow(): void {}

  async isLost(): Promise<boolean> {
    return this.isReplaced;
  }

  close(): void {}
}

t.test('a line that a full disk has torn is completed once there is room', async (t) => {
  const disk = new SmallDisk(450);
  const log = new LineWriter('disk', undefined, { openNow: () => disk, open: async () => disk });
  for (let i = 0; i < 8; i++) log.add(line(i));
  await eventually('it is full', () => log.dropped > 0);
  t.equal(disk.text.length, 450);
  disk.size = 10_000;
  log.add(line(8));
  await log.close();
  t.strictSame(indicesIn(disk.text), [0, 1, 2, 3, 8]);
  t.equal(log.dropped, 4);
});

t.test('a line that a full disk has torn does not go on in another file', async (t) => {
  const [disk, other] = [new SmallDisk(450), new SmallDisk(10_000)];
  const log = new LineWriter('disk', undefined, { openNow: () => disk, open: async () => other });
  for (let i = 0; i < 8; i++) log.add(line(i));
  await eventually('it is full', () => log.dropped > 0);
  t.equal(await log.reopen(), undefined);
  log.add(line(8));
  await log.close();
  t.strictSame(indicesIn(other.text), [8]);
  t.equal(log.dropped, 5);
});

/** A disk that looks at what it writes only when it has been told to go on. */
class SlowDisk implements Sink {
  readonly chunkBytes = 256 * 1024;
  text = '';
  /** Resolved once a write has begun. */
  begun = deferred<void>();
  #goOn = deferred<void>();
  readonly #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  async write(chunk: Buffer): Promise<number> {
    const goOn = this.#goOn.promise;
    this.begun.resolve();
    await goOn;
    const taken = Math.min(this.#room, chunk.length);
    this.text += chunk.toString('latin1', 0, taken);
    return taken;
  }

  /** Ends the write that has begun. */
  goOn(): void {
    this.begun = deferred();
    this.#goOn.resolve();
    this.#goOn = deferred();
  }

  writeNow(chunk: Buffer): void {
    this.text += chunk.toString('latin1');
  }

  async isLost(): Promise<boolean> {
    return false;
  }

  close(): void {}
}

t.test('memory of lines is not used again before they are written', async (t) => {
  for (const room of [Infinity, 50_000]) {
    const disk = new SlowDisk(room);
    const log = new LineWriter('disk', undefined, { openNow: () => disk, open: async () => disk });
    let added = 0;
    const add = (count: number): void => {
      for (let i = 0; i < count; i++) log.add(line(added++, added % 700 === 0 ? 4200 : added % 300));
    };
    // While a chunk is being written; over the end of the memory, and from its beginning, with much and little that waits.
    for (const count of [10, 3000, 1, 20, 5000, 3, 700, 700, 0, 700, 0, 0, 1, 2000]) {
      add(count);
      await disk.begun.promise;
      add(count === 0 ? 5 : 1);
      disk.goOn();
    }
    let isClosed = false;
    const closed = log.close().then(() => {
      isClosed = true;
    });
    while (!isClosed) {
      await Promise.race([disk.begun.promise, closed]);
      disk.goOn();
    }
    t.strictSame(indicesIn(disk.text), upTo(added));
    t.equal(log.dropped, 0);
  }
});

/** A named pipe, with an end that is open and nobody reads. */
async function namedPipe(t: Test): Promise<{ path: string; end: number }> {
  const path = join(await directoryOf(t), 'pipe');
  spawnSync('mkfifo', [path]);
  const end = fs.openSync(path, O_RDWR | O_NONBLOCK);
  t.teardown(() => {
    try {
      fs.closeSync(end);
    } catch {
      // The test has closed it.
    }
  });
  return { path, end };
}

/** What is in the pipe now. */
function readAll(end: number): string {
  const buffer = Buffer.alloc(2 ** 20);
  let text = '';
  try {
    for (;;) text += buffer.toString('latin1', 0, fs.readSync(end, buffer));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return text;
  }
}

t.test(
  'a pipe that nobody reads: the rest waits, then is dropped; what is read later is whole',
  async (t) => {
    const { path, end } = await namedPipe(t);
    const { log } = writer(t, path);
    const count = 100_000;
    for (let i = 0; i < count; i++) log.add(line(i, 300));
    t.ok(log.dropped > 0, 'more than may wait');
    const kept = count - log.dropped;
    const texts: string[] = [];
    let lines = 0;
    const read = (): number => {
      const text = readAll(end);
      texts.push(text);
      lines += linesIn(Buffer.from(text));
      return lines;
    };
    await eventually('it is read', () => read() === kept, 20_000);
    t.strictSame(indicesIn(texts.join('')), upTo(kept), 'the oldest ones');
    log.add(line(count));
    await eventually('and there is room again', () => read() === kept + 1);
    t.strictSame(indicesIn(texts.join('')).at(-1), count);
  },
);

t.test('two that write to one pipe tear no line of each other', async (t) => {
  const { path, end } = await namedPipe(t);
  const [one, two] = [writer(t, path).log, writer(t, path).log];
  for (let i = 0; i < 10_000; i++) {
    one.add(line(i, (i * 37) % 3000));
    two.add(line(i, (i * 53) % 3000));
  }
  const closing = Promise.all([one.close(), two.close()]);
  let text = '';
  const done = closing.then(() => true);
  while (!(await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1, false))]))) {
    text += readAll(end);
  }
  text += readAll(end);
  t.equal(indicesIn(text).length, 20_000 - one.dropped - two.dropped);
});

t.test('a reader that goes: lines are dropped; for the next one they come again', async (t) => {
  const { path, end } = await namedPipe(t);
  const { log } = writer(t, path);
  log.add(line(0));
  await eventually('it is there', () => readAll(end) !== '');
  fs.closeSync(end);
  log.add(line(1));
  await eventually('it is dropped', () => log.dropped === 1);
  const next = fs.openSync(path, O_RDONLY | O_NONBLOCK);
  let text = '';
  const buffer = Buffer.alloc(1000);
  await eventually('the next reader gets lines', () => {
    log.add(line(2));
    try {
      text += buffer.toString('latin1', 0, fs.readSync(next, buffer));
    } catch {
      // There is nothing yet.
    }
    return text !== '';
  });
  fs.closeSync(next);
  t.ok(text.startsWith(line(2)));
});

t.test('the end waits for a reader that has no room, but not for ever', async (t) => {
  const { path } = await namedPipe(t);
  const { log, drops } = writer(t, path);
  for (let i = 0; i < 1000; i++) log.add(line(i, 300));
  const began = performance.now();
  await within(3000, 'the end', log.close());
  t.ok(performance.now() - began > 500);
  t.ok(log.dropped > 0);
  t.match(drops.at(-1)?.[1], /within 1000 ms/);
});

interface Told {
  readonly longest: number;
  readonly before: number;
  readonly dropped: number;
  readonly closing: number;
}

/** Runs the child with this as its standard output. */
async function run(t: Test, stdout: 'pipe' | number, calls: number): Promise<{ told: Told; output: string }> {
  const child = spawn(process.execPath, [CHILD, String(calls)], { stdio: ['ignore', stdout, 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let [output, told] = ['', ''];
  child.stderr!.on('data', (text: Buffer) => {
    told += text;
  });
  await eventually('it has told', () => told.endsWith('\n'), 20_000);
  child.stdout?.on('data', (text: Buffer) => {
    output += text;
  });
  if (child.exitCode === null) await within(15_000, 'its exit', once(child, 'exit'));
  t.equal(child.exitCode, 0, told);
  return { told: JSON.parse(told) as Told, output };
}

t.test('standard output is a file', async (t) => {
  const file = join(await directoryOf(t), 'log');
  const { told } = await run(t, fs.openSync(file, 'a'), 1000);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  t.strictSame(
    lines.map((each) => (JSON.parse(each) as { route: string }).route),
    upTo(1000).map((index) => `call ${index}`),
  );
  t.equal(told.dropped, 0);
});

t.test(
  'standard output is a pipe, or a socket, that nobody reads: 100 000 calls are not held up',
  async (t) => {
    const { path, end } = await namedPipe(t);
    // A child's output is a socket, if it goes to Node.
    // The pipe is opened once more: for what it inherits, it changes how its parent waits.
    for (const stdout of [fs.openSync(path, O_RDWR | O_NONBLOCK), 'pipe'] as const) {
      const { told, output } = await run(t, stdout, 100_000);
      t.ok(told.longest < 1000, `the loop stood still for ${told.longest} ms`);
      t.ok(told.dropped > told.before && told.before > 0, JSON.stringify(told));
      t.ok(told.closing < 2000);
      for (const each of (stdout === 'pipe' ? output : readAll(end)).trimEnd().split('\n')) JSON.parse(each);
    }
  },
);

t.test('standard output that cannot take anything', async (t) => {
  if (!existsSync('/dev/full')) return;
  const { told } = await run(t, fs.openSync('/dev/full', 'w'), 1000);
  t.equal(told.dropped, 1000);
});
