import fs from 'node:fs';
import net from 'node:net';
import { promisify } from 'node:util';
import { MAX_LINE_BYTES } from './line-bytes.js';

const write = promisify(fs.write);
const openFile = promisify(fs.open);
const stat = promisify(fs.fstat);

/** Where lines go: one write after the other. None of its writes blocks the process. */
export interface Sink {
  /** The most bytes that a write should have, all whole lines. */
  readonly chunkBytes: number;
  /** Resolves with how many it took, which may be fewer; rejected with Node's error, EAGAIN for "not now" included. */
  write(chunk: Buffer): Promise<number>;
  /** For the end of the process: writes at once, as far as there is room. May throw. */
  writeNow(chunk: Buffer): void;
  /** Whether what is written to it is lost: a new one is needed. */
  isLost(): Promise<boolean>;
  close(): void;
}

/** What opens a file, or `-`. */
export interface SinkOpener {
  open(file: string): Promise<Sink>;
  /** @throws Node's error if it cannot be opened */
  openNow(file: string): Sink;
}

/**
 * The file at a path, or `-` for standard output, for appending. A pipe is opened even where it is known: what another
 * process has open, too, may be set to block by it, and by Node for a child that it starts.
 */
async function open(file: string): Promise<Sink> {
  if (file === '-') return standardSink(STDOUT);
  const fd = await openFile(file, FLAGS);
  return sinkOf(fd, await stat(fd));
}

function openNow(file: string): Sink {
  if (file === '-') return standardSink(STDOUT);
  const fd = fs.openSync(file, FLAGS);
  return sinkOf(fd, fs.fstatSync(fd));
}

export const SINKS: SinkOpener = { open, openNow };

/** Opens standard error, whatever the file's name. */
export const STANDARD_ERROR: SinkOpener = {
  open: async () => standardSink(STDERR),
  openNow: () => standardSink(STDERR),
};

/** Without O_NONBLOCK a named pipe that nobody reads would be waited for, a thread of the pool by each. */
const FLAGS =
  fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_CREAT | (fs.constants.O_NONBLOCK ?? 0);

function sinkOf(fd: number, stats: fs.Stats): Sink {
  return stats.isFIFO() ? new StreamSink(pipe(fd)) : new FileSink(fd, 'own');
}

function standardSink(fd: typeof STDOUT | typeof STDERR): Sink {
  const stats = fs.fstatSync(fd);
  // A file takes what it gets; and opened anew its offset would be another one.
  if (stats.isFile()) return new FileSink(fd, 'shared');
  if (!stats.isSocket()) {
    try {
      return sinkOf(fs.openSync(`/dev/fd/${fd}`, FLAGS & ~fs.constants.O_CREAT), stats);
    } catch {
      // There is no such thing here, or it may not be opened again.
    }
  }
  if (stats.isCharacterDevice()) return new FileSink(fd, 'shared');
  return new StreamSink(fd === STDOUT ? process.stdout : process.stderr, true);
}

const STDOUT = 1;
const STDERR = 2;

function pipe(fd: number): net.Socket {
  return new net.Socket({ fd, readable: false, writable: true }).unref();
}

/** How long it is believed that a file is still there. */
const FILE_CHECK_MILLISECONDS = 1000;

/** A file, or a device: written to by a thread of Node's pool, of which a disk that is slow keeps one busy. */
class FileSink implements Sink {
  /** Waking a thread of the pool for a write takes as long as making a hundred lines. */
  readonly chunkBytes = 256 * 1024;
  readonly #fd: number;
  readonly #ownership: 'own' | 'shared';
  #checkedAt = performance.now();
  #writing: Promise<unknown> = Promise.resolve();

  constructor(fd: number, ownership: 'own' | 'shared') {
    this.#fd = fd;
    this.#ownership = ownership;
  }

  async write(chunk: Buffer): Promise<number> {
    const writing = write(this.#fd, chunk, 0, chunk.length, null);
    this.#writing = writing;
    return (await writing).bytesWritten;
  }

  writeNow(chunk: Buffer): void {
    // A terminal takes a part at a time.
    for (let rest = chunk; rest.length > 0; ) {
      const taken = fs.writeSync(this.#fd, rest);
      if (taken === 0) throw new Error('it takes nothing');
      rest = rest.subarray(taken);
    }
  }

  async isLost(): Promise<boolean> {
    const time = performance.now();
    if (this.#ownership === 'shared' || time - this.#checkedAt < FILE_CHECK_MILLISECONDS) return false;
    this.#checkedAt = time;
    return (await stat(this.#fd)).nlink === 0;
  }

  close(): void {
    if (this.#ownership === 'shared') return;
    // Not before: what opens next may get the same number.
    const close = (): void => fs.close(this.#fd, ignore);
    void this.#writing.then(close, close);
  }
}

/** A pipe or a socket, written to when the kernel says that it has room. */
class StreamSink implements Sink {
  readonly chunkBytes = MAX_LINE_BYTES;
  readonly #stream: net.Socket | NodeJS.WriteStream;
  readonly #isShared: boolean;

  /** @param isShared other processes have it, too, and it stays open */
  constructor(stream: net.Socket | NodeJS.WriteStream, isShared = false) {
    this.#stream = stream;
    this.#isShared = isShared;
    if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  }

  write(chunk: Buffer): Promise<number> {
    this.#unblock();
    return new Promise((resolve, reject) => {
      this.#stream.write(chunk, (error) => (error ? reject(error) : resolve(chunk.length)));
    });
  }

  writeNow(chunk: Buffer): void {
    this.#unblock();
    // Before it returns, that has been tried.
    this.#stream.write(chunk);
  }

  /** Where a standard stream is a socket, which cannot be opened anew, a worker's start has set it to block for all. */
  #unblock(): void {
    if (this.#isShared) (this.#stream as StreamInside)._handle?.setBlocking?.(false);
  }

  async isLost(): Promise<boolean> {
    return this.#stream.destroyed;
  }

  close(): void {
    if (!this.#isShared) this.#stream.destroy();
  }
}

/** What a stream of Node's is made on, as far as it is looked at here: Node does not document it. */
interface StreamInside {
  readonly _handle?: { readonly setBlocking?: (isBlocking: boolean) => void } | null;
}

/** Who writes is told. */
function ignore(): void {}
