import type { Socket } from 'node:net';
import {
  DEFAULT_WINDOW,
  Flag,
  FRAME_HEADER_LENGTH,
  FrameType,
  MAX_FRAME_LENGTH,
  MAX_WINDOW,
  PREFACE,
  Setting,
  settingsPayload,
  uint32,
  writeFrameHeader,
} from './frame.js';
import { HeaderBlocks } from './header-blocks.js';
import { Output } from './output.js';

type Fields = readonly (readonly [name: string, value: string])[];

/** One stream of a {@link FrameConnection}, with what waits for the peer's windows. */
export class FrameStream {
  readonly id: number;
  sendWindow: number;
  readonly queue: Buffer[] = [];
  /** Sent after the queue: trailers, or an empty DATA frame. */
  ending: Fields | 'half-close' | undefined;

  constructor(id: number, sendWindow: number) {
    this.id = id;
    this.sendWindow = sendWindow;
  }
}

/** What a {@link FrameConnection} delivers. */
export interface FrameReceiver {
  /** The peer's first SETTINGS are in: a client may begin. */
  onReady?(): void;
  onHeaders(streamId: number, endStream: boolean): void;
  onData(streamId: number, payload: Buffer, endStream: boolean): void;
  onReset(streamId: number, code: number): void;
  /** No more streams, or none at all any more. */
  onGone(): void;
}

/**
 * The least of HTTP/2 that a benchmark's own ends need, so that they cost a small part of what they measure: frames
 * and flow control for sending; header blocks are fixed when sent and not looked at when received. It trusts its
 * peer: never use it for anything but measuring.
 */
export class FrameConnection {
  readonly #socket: Socket;
  readonly #receiver: FrameReceiver;
  readonly #output: Output;
  readonly #blocked = new Set<FrameStream>();
  readonly #streams = new Map<number, FrameStream>();
  #blocks: HeaderBlocks | undefined;
  #tableSize = 4096;
  #rest: Buffer | undefined;
  #prefaceMissing: number;
  #sendWindow = DEFAULT_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #uncredited = 0;
  #gone = false;
  #ready = false;

  constructor(socket: Socket, receiver: FrameReceiver, isServer: boolean) {
    this.#socket = socket;
    this.#receiver = receiver;
    this.#output = new Output(socket);
    this.#prefaceMissing = isServer ? PREFACE.length : 0;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk));
    socket.on('close', () => this.#onGone());
    socket.on('error', () => {});
    if (!isServer) socket.write(PREFACE);
    this.#sendFrame(
      FrameType.SETTINGS,
      0,
      0,
      settingsPayload(
        [
          [Setting.ENABLE_PUSH, 0],
          [Setting.MAX_CONCURRENT_STREAMS, MAX_WINDOW],
          // Ends that never hold back: the proxy between them decides how fast it goes.
          [Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW],
        ].slice(isServer ? 1 : 0) as [number, number][],
      ),
    );
    this.#sendFrame(FrameType.WINDOW_UPDATE, 0, 0, uint32(MAX_WINDOW - DEFAULT_WINDOW));
  }

  stream(id: number): FrameStream | undefined {
    return this.#streams.get(id);
  }

  open(id: number): FrameStream {
    const stream = new FrameStream(id, this.#initialWindow);
    this.#streams.set(id, stream);
    return stream;
  }

  forget(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    this.#blocked.delete(stream);
  }

  sendHeaders(stream: FrameStream, fields: Fields, endStream = false): void {
    // Made as late as this so that the peer's SETTINGS have been seen.
    this.#blocks ??= new HeaderBlocks(this.#tableSize);
    const flags = Flag.END_HEADERS | (endStream ? Flag.END_STREAM : 0);
    this.#sendFrame(FrameType.HEADERS, flags, stream.id, this.#blocks.block(fields));
  }

  /** Sends DATA as the peer's windows allow. The payload may be a slice of what `onData` delivered. */
  sendData(stream: FrameStream, payload: Buffer): void {
    if (stream.queue.length > 0) {
      stream.queue.push(payload);
      return;
    }
    const sent = this.#sendSome(stream, payload);
    if (sent < payload.length) this.#block(stream, payload.subarray(sent));
  }

  /** Ends the stream once its data is out. */
  end(stream: FrameStream, ending: Fields | 'half-close'): void {
    if (stream.queue.length > 0) stream.ending = ending;
    else this.#sendEnding(stream, ending);
  }

  close(): void {
    this.#output.flush();
    this.#socket.end();
    this.#socket.destroy();
  }

  #sendEnding(stream: FrameStream, ending: Fields | 'half-close'): void {
    if (ending === 'half-close') {
      this.#sendFrame(FrameType.DATA, Flag.END_STREAM, stream.id, NOTHING);
    } else {
      this.sendHeaders(stream, ending, true);
      this.#streams.delete(stream.id);
    }
  }

  #block(stream: FrameStream, rest: Buffer): void {
    stream.queue.push(rest);
    this.#blocked.add(stream);
  }

  #sendSome(stream: FrameStream, payload: Buffer): number {
    let sent = 0;
    while (sent < payload.length) {
      const length = Math.min(payload.length - sent, MAX_FRAME_LENGTH, stream.sendWindow, this.#sendWindow);
      if (length <= 0) break;
      const { block, offset } = this.#output.reserve(FRAME_HEADER_LENGTH + length);
      writeFrameHeader(block, offset, length, FrameType.DATA, 0, stream.id);
      payload.copy(block, offset + FRAME_HEADER_LENGTH, sent, sent + length);
      stream.sendWindow -= length;
      this.#sendWindow -= length;
      sent += length;
    }
    return sent;
  }

  #sendBlocked(): void {
    for (const stream of this.#blocked) {
      if (this.#sendWindow <= 0) return;
      while (stream.queue.length > 0) {
        const payload = stream.queue[0]!;
        const sent = this.#sendSome(stream, payload);
        if (sent < payload.length) {
          stream.queue[0] = payload.subarray(sent);
          break;
        }
        stream.queue.shift();
      }
      if (stream.queue.length > 0) continue;
      this.#blocked.delete(stream);
      if (stream.ending !== undefined) this.#sendEnding(stream, stream.ending);
    }
  }

  #sendFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    const { block, offset } = this.#output.reserve(FRAME_HEADER_LENGTH + payload.length);
    writeFrameHeader(block, offset, payload.length, type, flags, streamId);
    payload.copy(block, offset + FRAME_HEADER_LENGTH);
  }

  #onChunk(received: Buffer): void {
    let chunk = received;
    if (this.#rest !== undefined) {
      chunk = Buffer.concat([this.#rest, received]);
      this.#rest = undefined;
    }
    let offset = Math.min(this.#prefaceMissing, chunk.length);
    this.#prefaceMissing -= offset;
    while (chunk.length - offset >= FRAME_HEADER_LENGTH) {
      const length = chunk.readUIntBE(offset, 3);
      const end = offset + FRAME_HEADER_LENGTH + length;
      if (end > chunk.length) break;
      this.#onFrame(
        chunk[offset + 3]!,
        chunk[offset + 4]!,
        chunk.readUInt32BE(offset + 5) & MAX_WINDOW,
        chunk.subarray(offset + FRAME_HEADER_LENGTH, end),
      );
      offset = end;
    }
    if (offset < chunk.length) this.#rest = chunk.subarray(offset);
  }

  #onFrame(type: number, flags: number, streamId: number, payload: Buffer): void {
    switch (type) {
      case FrameType.DATA:
        if ((flags & Flag.PADDED) !== 0) throw new Error('the benchmark cannot read padded frames');
        this.#credit(payload.length);
        this.#receiver.onData(streamId, payload, (flags & Flag.END_STREAM) !== 0);
        break;
      case FrameType.HEADERS:
        this.#receiver.onHeaders(streamId, (flags & Flag.END_STREAM) !== 0);
        break;
      case FrameType.RST_STREAM:
        this.#receiver.onReset(streamId, payload.readUInt32BE(0));
        break;
      case FrameType.SETTINGS:
        if ((flags & Flag.ACK) === 0) this.#onSettings(payload);
        break;
      case FrameType.PING:
        if ((flags & Flag.ACK) === 0) this.#sendFrame(FrameType.PING, Flag.ACK, 0, payload);
        break;
      case FrameType.GOAWAY:
        this.#onGone();
        break;
      case FrameType.WINDOW_UPDATE:
        this.#onWindowUpdate(streamId, payload.readUInt32BE(0));
        break;
    }
  }

  /** The connection's window is all that ever needs credit: a stream's is larger than any stream here. */
  #credit(length: number): void {
    this.#uncredited += length;
    if (this.#uncredited < 2 ** 30) return;
    this.#sendFrame(FrameType.WINDOW_UPDATE, 0, 0, uint32(this.#uncredited));
    this.#uncredited = 0;
  }

  #onSettings(payload: Buffer): void {
    for (let offset = 0; offset < payload.length; offset += 6) {
      const id = payload.readUInt16BE(offset);
      const value = payload.readUInt32BE(offset + 2);
      if (id === Setting.HEADER_TABLE_SIZE) this.#tableSize = value;
      if (id !== Setting.INITIAL_WINDOW_SIZE) continue;
      for (const stream of this.#streams.values()) stream.sendWindow += value - this.#initialWindow;
      this.#initialWindow = value;
    }
    this.#sendFrame(FrameType.SETTINGS, Flag.ACK, 0, NOTHING);
    this.#sendBlocked();
    if (this.#ready) return;
    this.#ready = true;
    this.#receiver.onReady?.();
  }

  #onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.#sendWindow += increment;
    } else {
      const stream = this.#streams.get(streamId);
      if (stream === undefined) return;
      stream.sendWindow += increment;
    }
    if (this.#blocked.size > 0) this.#sendBlocked();
  }

  #onGone(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#receiver.onGone();
  }
}

const NOTHING = Buffer.alloc(0);
