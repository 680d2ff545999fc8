import type { Socket } from 'node:net';
import type { HeldBytes } from '../../../port/account.js';
import type { HeaderList } from '../../../port/headers.js';
import { immediatelyOutside } from '../../../port/outside-of-calls.js';
import { BufferPool } from '../buffer-pool.js';
import { Flag, FRAME_HEADER_LENGTH, FrameType } from '../frame.js';
import type { BlockTarget, HeaderEncoder } from '../hpack/encoder.js';
import { SETTING_LENGTH } from '../settings.js';
import type { StreamWriter } from '../stream/sending.js';
import { WaitingOutput } from './waiting-output.js';

/** What a connection contributes to its output when it is flushed. */
export interface OutputSource {
  /** Appends queued DATA as long as there is room in the buffer. */
  fill(): void;
  /** Whether there is more of it, which could be sent at once. */
  hasMore(): boolean;
  /** The buffers have been written, as far as the socket takes them. */
  onFlushed(): void;
}

/** Reading stops while this much output waits for a peer that reads nothing itself. */
const MAX_BACKLOG = 1024 * 1024;

/** The most that is left to the socket's own queue before it counts as backed up. */
const SOCKET_BACKLOG = 65536;

/** How often one connection fills and writes a buffer in one turn, before others get theirs. */
const MAX_ROUNDS = 8;

/** A connection has one only while it has something to send, so that idle connections cost none. */
const outputBuffers = new BufferPool(65536, 32, Buffer.allocUnsafeSlow);

/** The room that a field block is given at first. */
const FIELD_BLOCK_ROOM = 1024;

/**
 * A connection's output. Frames are copied into a buffer, which is written once per turn of the event loop
 * (or when it is full): what many streams send in a turn leaves in one system call. Copying costs less than
 * handing the kernel many small pieces, and lets go of the memory that the data came in.
 */
export class FrameWriter implements BlockTarget, StreamWriter {
  buffer: Buffer = NOTHING;
  length = 0;
  blocked = false;
  /** A write has been done since this was set to false. */
  hasMoved = false;
  /** HEADERS or DATA have been written since this was set to false. */
  hasSentContent = false;
  /** So much output waits for the peer that nothing more of it is read. */
  isReadingPaused = false;
  /** How many buffers have been filled before {@link buffer}, and how many the socket has been given, none dropped. */
  filled = 0;
  private given = 0;
  /** The first one that was dropped. */
  private dropped = Number.POSITIVE_INFINITY;

  /** What the socket has not been given, because it is backed up. */
  private readonly waiting: WaitingOutput;
  /** Buffers that the socket has been given and still uses. */
  private lent: Buffer[] = [];
  private scheduled = false;
  private ended = false;
  private readonly onWritten = (error?: Error | null): void => this.checkSocket(error);

  private source: OutputSource | undefined = undefined;

  /** @param held what waits for the socket is charged to */
  constructor(
    private readonly socket: Socket,
    held: HeldBytes,
  ) {
    this.waiting = new WaitingOutput(held);
  }

  /** Says where DATA comes from, before anything is written. */
  drawFrom(source: OutputSource): void {
    this.source = source;
  }

  /** The octets that wait for the socket in this process. */
  get backlog(): number {
    return this.waiting.length + this.length + (this.blocked ? this.socket.writableLength : 0);
  }

  /** The room for one more DATA frame's payload in the current buffer. */
  get room(): number {
    if (this.buffer === NOTHING) return outputBuffers.length - FRAME_HEADER_LENGTH;
    return this.buffer.length - this.length - FRAME_HEADER_LENGTH;
  }

  writeSettings(settings: readonly (readonly [number, number])[]): void {
    this.begin(FrameType.SETTINGS, 0, 0, settings.length * SETTING_LENGTH);
    for (const [identifier, value] of settings) {
      this.buffer.writeUInt16BE(identifier, this.length);
      this.buffer.writeUInt32BE(value, this.length + 2);
      this.length += SETTING_LENGTH;
    }
  }

  writeSettingsAcknowledgement(): void {
    this.begin(FrameType.SETTINGS, Flag.ACK, 0, 0);
  }

  writePing(flags: number, payload: Buffer, start: number): void {
    this.begin(FrameType.PING, flags, 0, 8);
    this.length += payload.copy(this.buffer, this.length, start, start + 8);
  }

  writeGoAway(lastStreamId: number, code: number, debug: string): void {
    const data = Buffer.from(debug);
    this.begin(FrameType.GOAWAY, 0, 0, 8 + data.length);
    this.buffer.writeUInt32BE(lastStreamId, this.length);
    this.buffer.writeUInt32BE(code, this.length + 4);
    data.copy(this.buffer, this.length + 8);
    this.length += 8 + data.length;
  }

  writeWindowUpdate(streamId: number, increment: number): void {
    this.begin(FrameType.WINDOW_UPDATE, 0, streamId, 4);
    this.length = this.buffer.writeUInt32BE(increment, this.length);
  }

  writeResetStream(streamId: number, code: number): void {
    this.begin(FrameType.RST_STREAM, 0, streamId, 4);
    this.length = this.buffer.writeUInt32BE(code, this.length);
  }

  /**
   * Writes HEADERS, and CONTINUATION behind it if the block is larger than the peer's frames.
   *
   * @throws UnsendableFieldError
   */
  writeHeaders(
    streamId: number,
    endStream: boolean,
    headers: HeaderList,
    encoder: HeaderEncoder,
    maxFrameSize: number,
  ): void {
    // Large blocks would have the buffer grow on and on, uncounted.
    if (this.length > outputBuffers.length) this.write();
    this.makeRoom(FRAME_HEADER_LENGTH + FIELD_BLOCK_ROOM);
    const at = this.length;
    this.length += FRAME_HEADER_LENGTH;
    try {
      encoder.encode(headers, this);
    } catch (error) {
      this.length = at;
      throw error;
    }
    this.hasSentContent = true;
    const length = this.length - at - FRAME_HEADER_LENGTH;
    const flags = endStream ? Flag.END_STREAM : 0;
    if (length <= maxFrameSize) {
      writeHeader(this.buffer, at, length, FrameType.HEADERS, flags | Flag.END_HEADERS, streamId);
      return;
    }
    writeHeader(this.buffer, at, maxFrameSize, FrameType.HEADERS, flags, streamId);
    const rest = Buffer.from(this.buffer.subarray(at + FRAME_HEADER_LENGTH + maxFrameSize, this.length));
    this.length = at + FRAME_HEADER_LENGTH + maxFrameSize;
    for (let start = 0; start < rest.length; start += maxFrameSize) {
      const end = Math.min(rest.length, start + maxFrameSize);
      this.begin(FrameType.CONTINUATION, end === rest.length ? Flag.END_HEADERS : 0, streamId, end - start);
      this.length += rest.copy(this.buffer, this.length, start, end);
    }
  }

  /** Begins a DATA frame, whose payload the caller then copies to `length`; there must be room for it. */
  beginData(streamId: number, length: number, endStream: boolean): void {
    this.hasSentContent = true;
    this.begin(FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId, length);
  }

  /** Grows the buffer under a frame that is being written. */
  reserve(octets: number): void {
    if (this.buffer.length - this.length >= octets) return;
    const grown = Buffer.allocUnsafeSlow(2 * this.buffer.length + octets);
    this.buffer.copy(grown, 0, 0, this.length);
    outputBuffers.release(this.buffer);
    this.buffer = grown;
  }

  /** Flushes at the end of this turn of the event loop. */
  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    if (dirty.push(this) === 1) immediatelyOutside(flushAll);
  }

  flush(): void {
    this.scheduled = false;
    if (this.ended) return;
    const source = this.source!;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (!this.blocked) source.fill();
      this.write();
      if (this.blocked || !source.hasMore()) break;
    }
    if (!this.blocked && source.hasMore()) this.schedule();
    if (this.isReadingPaused && this.backlog < MAX_BACKLOG / 2) {
      this.isReadingPaused = false;
      this.socket.resume();
    }
    source.onFlushed();
  }

  /** Stops reading while the peer doesn't read what it is sent. */
  pauseReadingIfBackedUp(): void {
    if (this.isReadingPaused || this.ended || this.backlog <= MAX_BACKLOG) return;
    this.isReadingPaused = true;
    this.socket.pause();
  }

  /** Whether the socket has been given the buffer before which so many were {@link filled}, or might have been. */
  hasGiven(filled: number): boolean {
    return filled < this.given && filled < this.dropped;
  }

  /** Drops what the socket has not been given: its frames are of no use any more. */
  drop(): void {
    this.dropped = this.given;
    this.waiting.clear();
    this.length = 0;
  }

  /** Writes what there is, and half-closes the connection. */
  end(): void {
    if (this.ended) return;
    this.given = ++this.filled;
    for (const buffer of this.waiting.take()) this.socket.write(buffer);
    if (this.length > 0) this.socket.write(this.buffer.subarray(0, this.length));
    this.socket.end();
    this.abandon();
  }

  /** Drops what there is: the socket is gone. */
  abandon(): void {
    this.ended = true;
    this.waiting.clear();
    this.buffer = NOTHING;
    this.length = 0;
    this.lent = [];
  }

  private begin(type: number, flags: number, streamId: number, length: number): void {
    this.makeRoom(FRAME_HEADER_LENGTH + length);
    writeHeader(this.buffer, this.length, length, type, flags, streamId);
    this.length += FRAME_HEADER_LENGTH;
  }

  /** Makes room between frames. */
  private makeRoom(octets: number): void {
    if (this.buffer.length - this.length < octets) {
      if (this.length > 0) this.write();
      if (this.buffer.length - this.length < octets) {
        outputBuffers.release(this.buffer);
        this.buffer =
          octets > outputBuffers.length ? Buffer.allocUnsafeSlow(octets) : outputBuffers.acquire();
      }
    }
    if (!this.scheduled) this.schedule();
  }

  /** Gives the socket what there is, unless it is backed up: then that waits. */
  private write(): void {
    if (this.length === 0 || this.ended) return;
    const { buffer, length } = this;
    this.buffer = NOTHING;
    this.length = 0;
    this.filled++;
    if (this.blocked) {
      if (!this.waiting.add(buffer, length)) outputBuffers.release(buffer);
      return;
    }
    this.given = this.filled;
    if (this.lent.length > 0 && 2 * length < buffer.length) {
      // The socket will keep this, too, for a while: not a whole buffer for a few octets.
      this.socket.write(Buffer.from(buffer.subarray(0, length)), this.onWritten);
      outputBuffers.release(buffer);
      this.blocked = this.socket.writableLength >= SOCKET_BACKLOG;
      return;
    }
    this.socket.write(buffer.subarray(0, length), this.onWritten);
    const left = this.socket.writableLength;
    if (left === 0) {
      // The kernel took it all: the buffer is free again.
      outputBuffers.release(buffer);
    } else {
      this.lent.push(buffer);
      this.blocked = left >= SOCKET_BACKLOG;
    }
  }

  /** A write is done, perhaps one that was done at once. */
  private checkSocket(error: Error | null | undefined): void {
    // The socket is broken, which it is about to tell: nothing more leaves this process. (Node 20 has no error here.)
    if (error || this.socket.destroyed) return;
    this.hasMoved = true;
    if (this.socket.writableLength === 0 && this.lent.length > 0) {
      for (const buffer of this.lent) outputBuffers.release(buffer);
      this.lent = [];
    }
    if (!this.blocked || this.ended || this.socket.writableLength > 0) return;
    this.blocked = false;
    for (const buffer of this.waiting.take()) this.socket.write(buffer, this.onWritten);
    this.given = this.filled;
    this.blocked = this.socket.writableLength >= SOCKET_BACKLOG;
    this.schedule();
  }
}

const NOTHING = Buffer.alloc(0);

/** The writers that have something to flush in this turn. */
let dirty: FrameWriter[] = [];

function flushAll(): void {
  const writers = dirty;
  dirty = [];
  let next = 0;
  try {
    while (next < writers.length) writers[next++]!.flush();
  } finally {
    // An error in one connection's output is no reason for the others to stand still.
    if (next < writers.length) {
      dirty = writers.slice(next).concat(dirty);
      setImmediate(flushAll);
    }
  }
}

/** Section 4.1. */
function writeHeader(
  buffer: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  buffer[at] = length >>> 16;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  buffer[at + 5] = streamId >>> 24;
  buffer[at + 6] = streamId >>> 16;
  buffer[at + 7] = streamId >>> 8;
  buffer[at + 8] = streamId;
}
