import type { Socket } from 'node:net';
import { HeaderDecoder } from '../../lib/transport/frames/hpack/decoder.js';
import {
  CLIENT_PREFACE,
  data,
  errorCode,
  Flag,
  type Frame,
  FrameType,
  goAway,
  headers,
  ping,
  pingAck,
  resetStream,
  SETTINGS_ACK,
  Setting,
  type SettingPair,
  settings,
  windowUpdate,
} from '../support/frame.js';
import { FrameReader } from '../support/frame-reader.js';
import type { Random } from '../support/random.js';
import { resetConnection } from '../support/wire.js';
import { RawStream } from './raw-stream.js';

const LARGE_WINDOW = 2 ** 30;
const FIRST_WINDOW = 65_535;
const MOST_OCTETS = 16_384;

/** How a peer leaves: by TCP's FIN, by its RST, or in whatever way what it has not read makes of it. */
export const WAYS_TO_LEAVE = ['end', 'reset', 'destroy'] as const;
export type WayToLeave = (typeof WAYS_TO_LEAVE)[number];

/** What a peer offers. */
export interface RawOptions {
  /** What it takes on each stream; it gives no more. By default enough for all that a test sends. */
  readonly window?: number;
  readonly settings?: readonly SettingPair[];
  /** Is told of each stream that the other side opens, when its fields have come. */
  readonly onStream?: (stream: RawStream, connection: RawConnection) => void;
}

/**
 * One end of an HTTP/2 connection that keeps the protocol, and yet does what hurts: gives no window, stops to read,
 * resets with any code, leaves. It sends no more than it was given windows for.
 */
export class RawConnection {
  readonly streams = new Map<number, RawStream>();
  readonly goAways: Frame[] = [];
  readonly closed: Promise<void>;
  isClosed = false;
  /** SETTINGS of the other side have come. */
  isReady = false;
  readonly #reader: FrameReader;
  readonly #decoder = new HeaderDecoder(4096, 1e6);
  readonly #options: RawOptions;
  readonly #answered = new Set<string>();
  #window = FIRST_WINDOW;
  #initialWindow = FIRST_WINDOW;
  #block: Buffer[] = [];
  #blockEnds = false;
  #nextId = 1;
  #pings = 0;
  #waiting: (() => void)[] = [];

  constructor(
    readonly socket: Socket,
    role: 'client' | 'server',
    options: RawOptions = {},
  ) {
    this.#options = options;
    this.#reader = new FrameReader(role === 'server' ? CLIENT_PREFACE.length : 0);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#take(frame);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        this.#wake();
        resolve();
      });
    });
    const { window = LARGE_WINDOW, settings: more = [] } = options;
    this.#send(
      ...(role === 'client' ? [CLIENT_PREFACE] : []),
      settings([Setting.INITIAL_WINDOW_SIZE, window], ...more),
      windowUpdate(0, LARGE_WINDOW),
    );
  }

  /** Opens a stream. */
  request(fields: readonly string[], end = false): RawStream {
    const stream = new RawStream(this.#nextId, this.#initialWindow);
    this.#nextId += 2;
    this.streams.set(stream.id, stream);
    this.sendHeaders(stream, fields, end);
    return stream;
  }

  sendHeaders(stream: RawStream, fields: readonly string[], end = false): void {
    if (stream.isOver) return;
    stream.isOver = end;
    this.#send(headers(stream.id, fields, Flag.END_HEADERS | (end ? Flag.END_STREAM : 0)));
  }

  /**
   * Sends DATA as windows allow.
   *
   * @returns whether all of it could be sent; else the stream or the connection is over
   */
  async sendData(stream: RawStream, bytes: Buffer, end = false): Promise<boolean> {
    const isOver = (): boolean => this.isClosed || stream.isOver || stream.resetCode !== undefined;
    let at = 0;
    do {
      await this.until(() => isOver() || bytes.length === 0 || Math.min(this.#window, stream.window) > 0);
      if (isOver()) return false;
      const length = Math.min(bytes.length - at, this.#window, stream.window, MOST_OCTETS);
      this.#window -= length;
      stream.window -= length;
      const isLast = at + length === bytes.length;
      this.#send(data(stream.id, bytes.subarray(at, at + length), end && isLast ? Flag.END_STREAM : 0));
      at += length;
      if (end && isLast) stream.isOver = true;
    } while (at < bytes.length);
    return true;
  }

  reset(stream: RawStream, code: number): void {
    stream.isOver = true;
    this.#send(resetStream(stream.id, code));
    this.#wake();
  }

  goAway(lastStreamId: number, code: number): void {
    this.#send(goAway(lastStreamId, code));
  }

  /** Changes settings. */
  set(...pairs: readonly SettingPair[]): void {
    this.#send(settings(...pairs));
  }

  /** Waits until something holds, or the connection has closed. */
  async until(condition: () => boolean): Promise<void> {
    while (!this.isClosed && !condition()) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Waits until the other side has taken all that was sent, or the connection has closed. */
  async roundTrip(): Promise<void> {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.#pings);
    this.#send(ping(payload));
    const answer = payload.toString('hex');
    await this.until(() => this.#answered.has(answer));
  }

  /** Reads no more: TCP's buffers fill, and block the other side. */
  stopReading(): void {
    this.socket.pause();
  }

  goOnReading(): void {
    this.socket.resume();
  }

  /** Leaves, and waits until the connection is closed at this end. */
  async leave(way: WayToLeave): Promise<void> {
    if (this.isClosed) return;
    if (way === 'end') {
      // Not before what was written is out: to destroy it would drop that.
      await new Promise<void>((resolve) => {
        this.socket.once('close', () => resolve());
        this.socket.end(() => resolve());
      });
      this.socket.destroy();
    } else if (way === 'reset') resetConnection(this.socket);
    else this.socket.destroy();
    await this.closed;
  }

  #send(...frames: readonly Buffer[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(frames));
  }

  #take(frame: Frame): void {
    const { type, flags, streamId, payload } = frame;
    switch (type) {
      case FrameType.SETTINGS:
        if ((flags & Flag.ACK) !== 0) break;
        for (let at = 0; at < payload.length; at += 6) {
          if (payload.readUInt16BE(at) !== Setting.INITIAL_WINDOW_SIZE) continue;
          const change = payload.readUInt32BE(at + 2) - this.#initialWindow;
          this.#initialWindow += change;
          for (const stream of this.streams.values()) stream.window += change;
        }
        this.isReady = true;
        this.#send(SETTINGS_ACK);
        break;
      case FrameType.PING:
        if ((flags & Flag.ACK) === 0) this.#send(pingAck(payload));
        else this.#answered.add(payload.toString('hex'));
        break;
      case FrameType.GOAWAY:
        this.goAways.push(frame);
        break;
      case FrameType.WINDOW_UPDATE:
        if (streamId === 0) this.#window += payload.readUInt32BE(0);
        else this.#stream(streamId).window += payload.readUInt32BE(0);
        break;
      case FrameType.HEADERS:
      case FrameType.CONTINUATION:
        this.#takeBlock(frame);
        break;
      case FrameType.DATA: {
        const stream = this.#stream(streamId);
        stream.add(payload);
        if ((flags & Flag.END_STREAM) !== 0) stream.ended = true;
        break;
      }
      case FrameType.RST_STREAM:
        this.#stream(streamId).resetCode = errorCode(frame);
    }
  }

  /** Neither of the proxy's transports pads or sends priorities. */
  #takeBlock({ type, flags, streamId, payload }: Frame): void {
    if (type === FrameType.HEADERS) {
      this.#block = [];
      this.#blockEnds = (flags & Flag.END_STREAM) !== 0;
    }
    this.#block.push(payload);
    if ((flags & Flag.END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#block);
    const stream = this.#stream(streamId);
    stream.lists.push(this.#decoder.decode(block, 0, block.length));
    if (this.#blockEnds) stream.ended = true;
    if (stream.lists.length === 1) this.#options.onStream?.(stream, this);
  }

  #stream(id: number): RawStream {
    let stream = this.streams.get(id);
    if (stream === undefined) {
      stream = new RawStream(id, this.#initialWindow);
      this.streams.set(id, stream);
    }
    return stream;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** An error code: one that has a name, or another. */
export function anyCode(random: Random): number {
  return random.chance(0.9) ? random.int(0, 13) : random.pick([14, 15, 255, 0x7fffffff, 0xffffffff]);
}
