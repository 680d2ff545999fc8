import { type Deferred, deferred } from '../../call/deferred.js';
import { Drops, type OnDropped } from './drops.js';
import { type LineBytes, MAX_LINE_BYTES } from './line-bytes.js';
import { LineQueue, linesIn } from './line-queue.js';
import { SINKS, type Sink, type SinkOpener } from './sink.js';

/** What may wait to be written: the last lines of some ten thousand calls that end together. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/** How long a line waits for others, to be written with them. */
const GATHER_MILLISECONDS = 10;

/** How soon what had no room is tried again. */
const AGAIN_MILLISECONDS = 10;

/** How soon what has failed is tried again. */
const RETRY_MILLISECONDS = 1000;

/** How long the end waits for what is written then. */
const CLOSE_MILLISECONDS = 1000;

const NEWLINE = 0x0a;

/**
 * Appends lines to a file, or to a standard stream, without ever holding anybody back: one write at a time, and behind it a
 * queue, which is bounded. A line is written whole or, where that is not possible, dropped and counted.
 */
export class LineWriter {
  readonly #file: string;
  readonly #sinks: SinkOpener;
  readonly #drops: Drops;
  readonly #queue: LineQueue;
  #sink: Sink;
  #state: 'idle' | 'gathering' | 'writing' = 'idle';
  #timer: NodeJS.Timeout | undefined;
  /** The chunk that is being written, without what has been. */
  #rest: Buffer | undefined;
  /** A part of the first line of {@link #rest} has been written. */
  #isTorn = false;
  /** The sink has {@link #rest}; else it waits for something else. */
  #isHanded = false;
  #pumped: Promise<void> = Promise.resolve();
  #endPause: (() => void) | undefined;
  #reopening: Deferred<Error | undefined> | undefined;
  #closed: Promise<void> | undefined;
  #end: 'open' | 'closing' | 'closed' = 'open';
  #isLineBegun = false;

  /** @throws Node's error if the file cannot be opened */
  constructor(file: string, onDropped?: OnDropped, sinks: SinkOpener = SINKS) {
    this.#file = file;
    this.#sinks = sinks;
    this.#drops = new Drops(onDropped);
    this.#sink = sinks.openNow(file);
    this.#queue = new LineQueue(this.#sink.chunkBytes);
  }

  /** The lines that were dropped. */
  get dropped(): number {
    return this.#drops.count;
  }

  /** @param line in ASCII, with its end */
  add(line: string): void {
    if (!this.#takes(line.length)) return;
    this.#queue.push(line);
    if (this.#state === 'idle') this.#gather();
  }

  /**
   * Where a line is to be written, of {@link MAX_LINE_BYTES} at most; {@link end} or {@link abandon} follows. Undefined: it
   * is dropped.
   */
  begin(): LineBytes | undefined {
    if (this.#isLineBegun) {
      // What reads an error, say, may run code of the application's, which may end a call.
      this.#drops.add(1, 'another line was being written');
      return undefined;
    }
    if (!this.#takes(MAX_LINE_BYTES)) return undefined;
    this.#isLineBegun = true;
    return this.#queue.begin();
  }

  /** The line is whole. */
  end(): void {
    this.#isLineBegun = false;
    this.#queue.end();
    if (this.#state === 'idle') this.#gather();
  }

  /** The line could not be written. */
  abandon(why: string): void {
    this.#isLineBegun = false;
    this.#drops.add(1, why);
  }

  /** Whether a line of so many bytes is added; else it is dropped. */
  #takes(bytes: number): boolean {
    if (this.#end === 'open' && this.#queue.bytes + bytes <= MAX_WAITING_BYTES) return true;
    const why =
      this.#end === 'open'
        ? `more than ${MAX_WAITING_BYTES} bytes wait to be written`
        : 'the log has been closed';
    this.#drops.add(1, why);
    return false;
  }

  /** Opens the file anew, for what is written from then on. Resolves with what is wrong: the old one stays in use then. */
  async reopen(): Promise<Error | undefined> {
    if (this.#file === '-' || this.#end !== 'open') return undefined;
    this.#reopening ??= deferred();
    const { promise } = this.#reopening;
    this.#start();
    return promise;
  }

  /** Writes what waits, or drops it where that takes over a second, and lets go of the file. Never rejected. */
  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  /** The process ends now: of what waits for others, all is written that can be at once. Never throws. */
  flush(): void {
    if (this.#end === 'closed') return;
    try {
      // First, since its beginning may have been written; what the sink has it goes on with.
      const rest = this.#isHanded ? undefined : this.#rest;
      if (!this.#isHanded) this.#rest = undefined;
      let bytes = rest ?? this.#queue.take();
      for (; bytes !== undefined; bytes = this.#queue.take()) this.#sink.writeNow(bytes);
    } catch {
      // There is no room, and no time to wait for it.
    }
  }

  #gather(): void {
    this.#state = 'gathering';
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#start(), GATHER_MILLISECONDS);
    else this.#timer.refresh();
  }

  #start(): void {
    this.#endPause?.();
    if (this.#state === 'writing') return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#state = 'writing';
    this.#pumped = this.#pump();
  }

  async #pump(): Promise<void> {
    while (this.#end !== 'closed') {
      if (this.#reopening !== undefined) await this.#reopen(this.#reopening);
      this.#rest ??= this.#queue.take();
      if (this.#rest === undefined) break;
      try {
        if (await this.#sink.isLost()) await this.#renewSink();
        if (this.#rest !== undefined) await this.#write(this.#rest);
      } catch (error) {
        await this.#onFailed(error as NodeJS.ErrnoException);
      }
    }
    this.#state = 'idle';
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#isHanded = true;
    let taken: number;
    try {
      taken = await this.#sink.write(bytes);
    } finally {
      this.#isHanded = false;
    }
    if (taken === 0) return;
    this.#isTorn = bytes[taken - 1] !== NEWLINE;
    this.#goOn(taken < bytes.length ? bytes.subarray(taken) : undefined);
  }

  async #onFailed({ code, message }: NodeJS.ErrnoException): Promise<void> {
    if (code === 'EAGAIN') {
      await this.#pause(AGAIN_MILLISECONDS);
      return;
    }
    this.#dropRest(message);
    if (this.#end === 'closing') this.#giveUp(message);
    else await this.#pause(RETRY_MILLISECONDS);
  }

  /** Drops the chunk that could not be written, but for the end of a line whose beginning has been. */
  #dropRest(why: string): void {
    if (this.#rest === undefined) return;
    const rest = this.#isTorn ? this.#rest.subarray(0, this.#rest.indexOf(NEWLINE) + 1) : undefined;
    this.#drops.add(linesIn(this.#rest) - (rest === undefined ? 0 : 1), why);
    this.#goOn(rest);
  }

  /** @param rest what is still to be written of the chunk */
  #goOn(rest: Buffer | undefined): void {
    this.#rest = rest;
    if (rest === undefined) this.#queue.free();
  }

  async #reopen(request: Deferred<Error | undefined>): Promise<void> {
    let problem: Error | undefined;
    try {
      await this.#renewSink();
    } catch (error) {
      problem = error as Error;
    }
    if (this.#reopening === request) this.#reopening = undefined;
    request.resolve(problem);
  }

  /** @throws Node's error if the file cannot be opened */
  async #renewSink(): Promise<void> {
    const sink = await this.#sinks.open(this.#file);
    this.#sink.close();
    this.#sink = sink;
    this.#queue.chunkBytes = sink.chunkBytes;
    if (this.#rest === undefined || !this.#isTorn) return;
    // Its beginning is in the old file.
    this.#drops.add(1, 'the file was replaced in the middle of a line');
    this.#isTorn = false;
    const rest = this.#rest.subarray(this.#rest.indexOf(NEWLINE) + 1);
    this.#goOn(rest.length > 0 ? rest : undefined);
  }

  /** Does not keep the process alive: for a reader that has no room it would do so for ever. */
  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#endPause?.(), milliseconds).unref();
      this.#endPause = () => {
        clearTimeout(timer);
        this.#endPause = undefined;
        resolve();
      };
    });
  }

  async #finish(): Promise<void> {
    this.#end = 'closing';
    this.#start();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MILLISECONDS);
    });
    await Promise.race([this.#pumped, late]);
    clearTimeout(timer);
    this.#giveUp(`it could not be written within ${CLOSE_MILLISECONDS} ms at the end`);
  }

  #giveUp(why: string): void {
    if (this.#end === 'closed') return;
    this.#end = 'closed';
    this.#endPause?.();
    this.#reopening?.resolve(undefined);
    let bytes = this.#rest ?? this.#queue.take();
    this.#rest = undefined;
    for (; bytes !== undefined; bytes = this.#queue.take()) this.#drops.add(linesIn(bytes), why);
    this.#sink.close();
    this.#drops.tell();
  }
}
