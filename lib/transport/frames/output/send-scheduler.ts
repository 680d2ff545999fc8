import type { FloodGuard } from '../flood-guard.js';
import { DEFAULT_WINDOW_SIZE, MAX_31_BITS } from '../frame.js';
import type { PeerSettings } from '../settings.js';
import type { SendingStream, StreamScheduler } from '../stream/sending.js';
import type { FrameWriter, OutputSource } from './frame-writer.js';

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
export class SendScheduler implements StreamScheduler, OutputSource {
  /** What the peer's connection window still allows. */
  private window = DEFAULT_WINDOW_SIZE;
  /** The streams that take turns, in a line that is linked both ways: one that ends leaves it at once. */
  private first: SendingStream | undefined = undefined;
  private last: SendingStream | undefined = undefined;
  private drained: SendingStream[] = [];
  /** DATA has gone out since this was set to false. */
  hasMoved = false;

  constructor(
    private readonly writer: FrameWriter,
    private readonly peer: PeerSettings,
    private readonly guard: FloodGuard,
  ) {}

  send(stream: SendingStream, chunk: Buffer, endStream: boolean): number {
    const { writer } = this;
    if (chunk.length === 0) {
      if (endStream) {
        writer.beginData(stream.id, 0, true);
        stream.onEndSent();
      }
      return 0;
    }
    let sent = 0;
    while (sent < chunk.length && sent < DIRECT_LENGTH && this.first === undefined && !writer.blocked) {
      const length = Math.min(chunk.length - sent, this.allowance(stream));
      if (length <= 0) break;
      const isLast = endStream && sent + length === chunk.length;
      writer.beginData(stream.id, length, isLast);
      if (length === chunk.length) writer.buffer.set(chunk, writer.length);
      else chunk.copy(writer.buffer, writer.length, sent, sent + length);
      writer.length += length;
      this.take(stream, length);
      sent += length;
      if (isLast) stream.onEndSent();
    }
    return sent;
  }

  add(stream: SendingStream): void {
    if (stream.inLine || stream.sendWindow <= 0) return;
    stream.inLine = true;
    stream.before = this.last;
    if (this.last === undefined) this.first = stream;
    else this.last.behind = stream;
    this.last = stream;
    if (this.window > 0 && !this.writer.blocked) this.writer.schedule();
  }

  /** Takes a stream out of the line, if it is in it. */
  remove(stream: SendingStream): void {
    if (!stream.inLine) return;
    stream.inLine = false;
    const { before, behind } = stream;
    if (before === undefined) this.first = behind;
    else before.behind = behind;
    if (behind === undefined) this.last = before;
    else behind.before = before;
    stream.before = undefined;
    stream.behind = undefined;
  }

  hasMore(): boolean {
    return this.first !== undefined && this.window > 0;
  }

  fill(): void {
    const { writer } = this;
    while (this.first !== undefined && this.window > 0 && !writer.blocked) {
      if (writer.room < MIN_ROOM) return;
      const stream = this.first;
      this.remove(stream);
      this.sendTurn(stream);
    }
  }

  /** Tells the streams whose outboxes have room again. */
  onFlushed(): void {
    if (this.drained.length === 0) return;
    const streams = this.drained;
    this.drained = [];
    for (const stream of streams) stream.drain();
  }

  /** WINDOW_UPDATE for the connection (section 6.9); false if the window would grow too large. */
  onWindowUpdate(increment: number): boolean {
    this.window += increment;
    if (this.first !== undefined) this.writer.schedule();
    return this.window <= MAX_31_BITS;
  }

  /** The stream's window grows, or shrinks with the peer's settings; false if it would grow too large. */
  changeWindow(stream: SendingStream, change: number): boolean {
    stream.sendWindow += change;
    if (stream.sendWindow > MAX_31_BITS) return false;
    if (stream.outbox !== undefined && stream.outbox.data.length > 0) this.add(stream);
    return true;
  }

  private sendTurn(stream: SendingStream): void {
    const { writer } = this;
    const outbox = stream.outbox!;
    const { data } = outbox;
    const length = Math.min(data.length, this.allowance(stream), writer.room);
    if (length > 0) {
      const isLast = length === data.length;
      writer.beginData(stream.id, length, isLast && outbox.endsOnData);
      data.moveTo(writer.buffer, writer.length, length);
      writer.length += length;
      this.take(stream, length);
      outbox.looks = 0;
      if (isLast) stream.onOutboxSent();
    }
    if (outbox.takeDrained()) this.drained.push(stream);
    if (data.length > 0) this.add(stream);
  }

  private allowance(stream: SendingStream): number {
    return Math.min(TURN_LENGTH, this.peer.maxFrameSize, stream.sendWindow, this.window);
  }

  private take(stream: SendingStream, length: number): void {
    stream.sendWindow -= length;
    this.window -= length;
    this.hasMoved = true;
    this.guard.onUsefulFrame();
  }
}
