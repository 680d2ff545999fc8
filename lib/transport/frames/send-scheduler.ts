import type { Connection } from './connection.js';
import { DEFAULT_WINDOW_SIZE, MAX_31_BITS } from './frame.js';
import { type FrameStream, HIGH_WATER_MARK } from './stream.js';

/** The most that a stream sends before it is the next one's turn. */
const TURN_LENGTH = 16384;

/** The most that `sendData` puts into the output at once, past the queue. */
const DIRECT_LENGTH = 65536;

/** Frames are not made smaller than this to fill a buffer's rest. */
const MIN_ROOM = 4096;

/**
 * Decides whose DATA goes out next. Data that can be sent at once is; what must wait, for a window (RFC 9113
 * section 5.2) or the socket, waits in its stream, and streams take turns.
 */
export class SendScheduler {
  /** What the peer's connection window still allows. */
  private window = DEFAULT_WINDOW_SIZE;
  private first: FrameStream | undefined = undefined;
  private last: FrameStream | undefined = undefined;
  private drained: FrameStream[] = [];

  constructor(private readonly connection: Connection) {}

  /** Sends what can be sent of a chunk at once, END_STREAM behind its end; returns how much that was. */
  send(stream: FrameStream, chunk: Buffer): number {
    const writer = this.connection.writer;
    if (chunk.length === 0) {
      if (stream.endQueued) {
        writer.beginData(stream.id, 0, true);
        stream.onEndSent();
      }
      return 0;
    }
    let sent = 0;
    while (sent < chunk.length && sent < DIRECT_LENGTH && this.first === undefined && !writer.blocked) {
      const length = Math.min(chunk.length - sent, this.allowance(stream));
      if (length <= 0) break;
      const endStream = stream.endQueued && sent + length === chunk.length;
      writer.beginData(stream.id, length, endStream);
      if (length === chunk.length) writer.buffer.set(chunk, writer.length);
      else chunk.copy(writer.buffer, writer.length, sent, sent + length);
      writer.length += length;
      this.take(stream, length);
      sent += length;
      if (endStream) stream.onEndSent();
    }
    return sent;
  }

  /** Puts a stream whose outbox isn't empty in line. */
  add(stream: FrameStream): void {
    if (stream.isReady || stream.sendWindow <= 0) return;
    // While the peer's window is shut nobody takes a turn, and streams that end must not pile up.
    while (this.first?.closed) this.shift();
    stream.isReady = true;
    if (this.last === undefined) this.first = stream;
    else this.last.nextReady = stream;
    this.last = stream;
    if (this.window > 0 && !this.connection.writer.blocked) this.connection.writer.schedule();
  }

  hasMore(): boolean {
    return this.first !== undefined && this.window > 0;
  }

  /** Lets streams take turns until the output buffer is full. */
  fill(): void {
    const writer = this.connection.writer;
    while (this.first !== undefined && this.window > 0 && !writer.blocked) {
      if (writer.room < MIN_ROOM) return;
      const stream = this.shift();
      if (!stream.closed && stream.outbox !== undefined) this.sendTurn(stream);
    }
  }

  /** Tells the streams whose outboxes have room again. */
  tellDrained(): void {
    if (this.drained.length === 0) return;
    const streams = this.drained;
    this.drained = [];
    let next = 0;
    try {
      while (next < streams.length) streams[next++]!.drain();
    } finally {
      if (next < streams.length) {
        this.drained = streams.slice(next).concat(this.drained);
        this.connection.writer.schedule();
      }
    }
  }

  /** WINDOW_UPDATE for the connection (section 6.9); false if the window would grow too large. */
  onWindowUpdate(increment: number): boolean {
    this.window += increment;
    if (this.first !== undefined) this.connection.writer.schedule();
    return this.window <= MAX_31_BITS;
  }

  /** The stream's window grows, or shrinks with the peer's settings; false if it would grow too large. */
  changeWindow(stream: FrameStream, change: number): boolean {
    stream.sendWindow += change;
    if (stream.sendWindow > MAX_31_BITS) return false;
    if (stream.outbox !== undefined && stream.outbox.length > 0) this.add(stream);
    return true;
  }

  private sendTurn(stream: FrameStream): void {
    const writer = this.connection.writer;
    const outbox = stream.outbox!;
    const length = Math.min(outbox.length, this.allowance(stream), writer.room);
    if (length > 0) {
      const last = length === outbox.length;
      const endStream = last && stream.endQueued && stream.trailersQueued === undefined;
      writer.beginData(stream.id, length, endStream);
      outbox.moveTo(writer.buffer, writer.length, length);
      writer.length += length;
      this.take(stream, length);
      if (last && stream.trailersQueued !== undefined) {
        this.connection.writeHeaders(stream.id, stream.trailersQueued, true);
        stream.trailersQueued = undefined;
        stream.onEndSent();
      } else if (endStream) {
        stream.onEndSent();
      }
    }
    if (stream.awaitsDrain && outbox.length < HIGH_WATER_MARK) this.drained.push(stream);
    if (outbox.length > 0) this.add(stream);
  }

  private shift(): FrameStream {
    const stream = this.first!;
    this.first = stream.nextReady;
    if (this.first === undefined) this.last = undefined;
    stream.nextReady = undefined;
    stream.isReady = false;
    return stream;
  }

  private allowance(stream: FrameStream): number {
    return Math.min(TURN_LENGTH, this.connection.peer.maxFrameSize, stream.sendWindow, this.window);
  }

  private take(stream: FrameStream, length: number): void {
    stream.sendWindow -= length;
    this.window -= length;
    this.connection.guard.onUsefulFrame();
  }
}
