import type { HeldBytes } from '../../../port/account.js';
import { ErrorCode } from '../../../port/error-code.js';
import { INVALID_PREFACE, TOO_MANY_CONTINUATIONS } from '../../connection-ends.js';
import type { TransportLimits } from '../../limits.js';
import {
  CLIENT_PREFACE,
  ConnectionError,
  DEFAULT_MAX_FRAME_SIZE,
  Flag,
  FRAME_HEADER_LENGTH,
  FrameType,
  MAX_31_BITS,
} from '../frame.js';
import { SETTING_LENGTH } from '../settings.js';

/** Takes frames whose layout is right. Errors that concern one stream alone are its to answer. */
export interface FrameHandler {
  /** A DATA frame begins; its length with padding, as flow control counts it. */
  onDataFrame(streamId: number, length: number): void;
  /** A part of that frame's data, in the order of arrival; never empty. */
  onDataPayload(payload: Buffer): void;
  /** That frame is complete; whether it held any data. */
  onDataFrameEnd(endStream: boolean, empty: boolean): void;
  /** A complete field block; the memory is valid during the call only. */
  onFieldBlock(streamId: number, endStream: boolean, block: Buffer, start: number, end: number): void;
  onResetStream(streamId: number, code: number): void;
  onSettings(payload: Buffer, start: number, end: number): void;
  onSettingsAcknowledged(): void;
  onPushPromise(): void;
  onPing(payload: Buffer, start: number): void;
  onPingAcknowledged(payload: Buffer, start: number): void;
  /** The debug data, empty if there is none, is valid during the call only. */
  onGoAway(lastStreamId: number, code: number, debugData: Buffer): void;
  onWindowUpdate(streamId: number, increment: number): void;
  /** A frame that has no effect: PRIORITY, or a type that is not known. */
  onIgnoredFrame(): void;
  /** "A stream error of type FRAME_SIZE_ERROR", for PRIORITY alone. */
  onStreamFrameSizeError(streamId: number): void;
}

/** Field blocks may be larger than the list that they are decoded to at most, before it is the connection's end. */
const BLOCK_TOLERANCE = 4;

const NOTHING = Buffer.alloc(0);

/**
 * Cuts what arrives on a connection into frames (RFC 9113 section 4). DATA is handed on as it arrives, in
 * slices of the socket's chunks; other frames are gathered first if they are cut in two.
 */
export class FrameReader {
  /** A frame that has come in part, its header included, and how much of it there is; or just the header. */
  private partial: Buffer = NOTHING;
  private partialLength = 0;
  private partialTotal = 0;
  private readonly partialHeader = Buffer.alloc(FRAME_HEADER_LENGTH);

  /** What is missing of the current DATA frame: data, and padding behind it. */
  private dataLeft = 0;
  private paddingLeft = 0;
  private inData = false;
  private padLengthMissing = false;
  private dataEmpty = true;
  private dataEndsStream = false;

  /** The stream whose field block goes on in CONTINUATION, or 0. */
  private blockStreamId = 0;
  private blockEndsStream = false;
  private block: Buffer = NOTHING;
  private blockLength = 0;
  private continuations = 0;

  /** What is missing of the client's preface. */
  private prefaceLeft: number;
  private settingsSeen = false;
  private stopped = false;

  /** @param held what a field block that is cut into frames is charged to */
  constructor(
    private readonly handler: FrameHandler,
    private readonly limits: TransportLimits,
    private readonly held: HeldBytes,
    fromClient: boolean,
  ) {
    this.prefaceLeft = fromClient ? CLIENT_PREFACE.length : 0;
  }

  /** Whether the peer has begun something that it owes the rest of before anything else can follow. */
  get isInsideFrame(): boolean {
    return this.blockStreamId !== 0 || this.partialTotal > 0;
  }

  /** Nothing more is read. */
  stop(): void {
    this.stopped = true;
    this.dropBlock();
  }

  /** @throws ConnectionError */
  read(chunk: Buffer): void {
    const end = chunk.length;
    let position = this.prefaceLeft === 0 ? 0 : this.readPreface(chunk);
    while (position < end && !this.stopped) {
      if (this.inData) {
        position = this.readData(chunk, position);
      } else if (this.partialTotal > 0) {
        position = this.readPartial(chunk, position);
      } else if (end - position < FRAME_HEADER_LENGTH) {
        this.startPartial(this.partialHeader, FRAME_HEADER_LENGTH);
        position = this.readPartial(chunk, position);
      } else {
        const length = this.checkHeader(chunk, position);
        const total = FRAME_HEADER_LENGTH + length;
        if (chunk[position + 3] === FrameType.DATA) {
          this.beginData(chunk, position, length);
          position += FRAME_HEADER_LENGTH;
        } else if (end - position >= total) {
          this.dispatch(chunk, position, length);
          position += total;
        } else {
          this.startPartial(Buffer.allocUnsafe(total), total);
          position = this.readPartial(chunk, position);
        }
      }
    }
  }

  /** Section 3.4. */
  private readPreface(chunk: Buffer): number {
    const length = Math.min(chunk.length, this.prefaceLeft);
    const from = CLIENT_PREFACE.length - this.prefaceLeft;
    // "Clients and servers MUST treat an invalid connection preface as a connection error of type
    // PROTOCOL_ERROR."
    if (chunk.compare(CLIENT_PREFACE, from, from + length, 0, length) !== 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, INVALID_PREFACE, 'not_http2');
    }
    this.prefaceLeft -= length;
    return length;
  }

  private startPartial(buffer: Buffer, total: number): void {
    this.partial = buffer;
    this.partialLength = 0;
    this.partialTotal = total;
  }

  private readPartial(chunk: Buffer, position: number): number {
    const missing = this.partialTotal - this.partialLength;
    const copied = chunk.copy(this.partial, this.partialLength, position, position + missing);
    this.partialLength += copied;
    if (copied < missing) return position + copied;
    const frame = this.partial;
    const isHeader = frame === this.partialHeader;
    this.partial = NOTHING;
    this.partialTotal = 0;
    if (!isHeader) {
      this.dispatch(frame, 0, frame.length - FRAME_HEADER_LENGTH);
      return position + copied;
    }
    const length = this.checkHeader(frame, 0);
    if (frame[3] === FrameType.DATA) {
      this.beginData(frame, 0, length);
    } else if (length === 0) {
      this.dispatch(frame, 0, 0);
    } else {
      const whole = Buffer.allocUnsafe(FRAME_HEADER_LENGTH + length);
      frame.copy(whole);
      this.startPartial(whole, whole.length);
      this.partialLength = FRAME_HEADER_LENGTH;
    }
    return position + copied;
  }

  /** Returns the payload's length, once the frame may come at all. */
  private checkHeader(buffer: Buffer, at: number): number {
    const length = (buffer[at]! << 16) | (buffer[at + 1]! << 8) | buffer[at + 2]!;
    const type = buffer[at + 3]!;
    // "The SETTINGS frame ... MUST be the first frame" that either side sends (section 3.4).
    if (!this.settingsSeen && (type !== FrameType.SETTINGS || (buffer[at + 4]! & Flag.ACK) !== 0)) {
      throw protocolError('the first frame is not SETTINGS');
    }
    // "An endpoint MUST send an error code of FRAME_SIZE_ERROR if a frame exceeds the size defined in
    // SETTINGS_MAX_FRAME_SIZE" (section 4.2).
    if (length > DEFAULT_MAX_FRAME_SIZE) throw frameSizeError('frame larger than SETTINGS_MAX_FRAME_SIZE');
    // "Any number of CONTINUATION frames can be sent, as long as the preceding frame is on the same stream";
    // "a receiver MUST treat the receipt of any other type of frame or a frame on a different stream as a
    // connection error of type PROTOCOL_ERROR" (section 6.10).
    if (this.blockStreamId !== 0) {
      if (type !== FrameType.CONTINUATION || streamIdAt(buffer, at) !== this.blockStreamId) {
        throw protocolError('field block interrupted');
      }
    } else if (type === FrameType.CONTINUATION) {
      throw protocolError('CONTINUATION without a field block');
    }
    return length;
  }

  /** Section 6.1. */
  private beginData(buffer: Buffer, at: number, length: number): void {
    const streamId = streamIdAt(buffer, at);
    if (streamId === 0) throw protocolError('DATA on stream 0');
    const flags = buffer[at + 4]!;
    const padded = (flags & Flag.PADDED) !== 0;
    if (padded && length === 0) throw frameSizeError('padded DATA without its pad length');
    this.inData = true;
    this.dataLeft = length;
    this.paddingLeft = 0;
    this.padLengthMissing = padded;
    this.dataEmpty = true;
    this.dataEndsStream = (flags & Flag.END_STREAM) !== 0;
    this.handler.onDataFrame(streamId, length);
    if (length === 0) this.endData();
  }

  private readData(chunk: Buffer, start: number): number {
    let position = start;
    if (this.padLengthMissing) {
      const padding = chunk[position++]!;
      this.dataLeft -= 1 + padding;
      // "If the length of the padding is the length of the frame payload or greater, the recipient MUST treat
      // this as a connection error of type PROTOCOL_ERROR."
      if (this.dataLeft < 0) throw protocolError('more padding than DATA');
      this.paddingLeft = padding;
      this.padLengthMissing = false;
    }
    if (this.dataLeft > 0) {
      const end = Math.min(chunk.length, position + this.dataLeft);
      if (end > position) {
        this.dataLeft -= end - position;
        this.dataEmpty = false;
        this.handler.onDataPayload(chunk.subarray(position, end));
        position = end;
      }
    }
    if (this.dataLeft === 0) {
      const skipped = Math.min(chunk.length - position, this.paddingLeft);
      this.paddingLeft -= skipped;
      position += skipped;
      if (this.paddingLeft === 0) this.endData();
    }
    return position;
  }

  private endData(): void {
    this.inData = false;
    this.handler.onDataFrameEnd(this.dataEndsStream, this.dataEmpty);
  }

  private dispatch(buffer: Buffer, at: number, length: number): void {
    const streamId = streamIdAt(buffer, at);
    const flags = buffer[at + 4]!;
    const start = at + FRAME_HEADER_LENGTH;
    switch (buffer[at + 3]) {
      case FrameType.HEADERS:
        this.readHeaders(streamId, flags, buffer, start, start + length);
        break;
      case FrameType.CONTINUATION:
        this.readContinuation(flags, buffer, start, start + length);
        break;
      case FrameType.PRIORITY:
        // Section 6.3: deprecated, and nothing but its form is looked at.
        if (streamId === 0) throw protocolError('PRIORITY on stream 0');
        if (length !== 5) this.handler.onStreamFrameSizeError(streamId);
        this.handler.onIgnoredFrame();
        break;
      case FrameType.RST_STREAM:
        if (streamId === 0) throw protocolError('RST_STREAM on stream 0');
        if (length !== 4) throw frameSizeError('RST_STREAM of another length than 4');
        this.handler.onResetStream(streamId, buffer.readUInt32BE(start));
        break;
      case FrameType.SETTINGS:
        this.readSettings(streamId, flags, buffer, start, length);
        break;
      case FrameType.PUSH_PROMISE:
        this.handler.onPushPromise();
        break;
      case FrameType.PING:
        if (streamId !== 0) throw protocolError('PING on a stream');
        if (length !== 8) throw frameSizeError('PING of another length than 8');
        if ((flags & Flag.ACK) !== 0) this.handler.onPingAcknowledged(buffer, start);
        else this.handler.onPing(buffer, start);
        break;
      case FrameType.GOAWAY:
        if (streamId !== 0) throw protocolError('GOAWAY on a stream');
        if (length < 8) throw frameSizeError('GOAWAY shorter than 8');
        this.handler.onGoAway(
          buffer.readUInt32BE(start) & MAX_31_BITS,
          buffer.readUInt32BE(start + 4),
          buffer.subarray(start + 8, start + length),
        );
        break;
      case FrameType.WINDOW_UPDATE:
        if (length !== 4) throw frameSizeError('WINDOW_UPDATE of another length than 4');
        this.handler.onWindowUpdate(streamId, buffer.readUInt32BE(start) & MAX_31_BITS);
        break;
      default:
        // "Implementations MUST ignore and discard frames of unknown types" (section 4.1).
        this.handler.onIgnoredFrame();
    }
  }

  /** Section 6.2. */
  private readHeaders(streamId: number, flags: number, buffer: Buffer, from: number, to: number): void {
    if (streamId === 0) throw protocolError('HEADERS on stream 0');
    let start = from;
    let end = to;
    if ((flags & (Flag.PADDED | Flag.PRIORITY)) !== 0) {
      if ((flags & Flag.PADDED) !== 0) {
        if (start === end) throw frameSizeError('padded HEADERS without its pad length');
        end -= buffer[start++]!;
      }
      if ((flags & Flag.PRIORITY) !== 0) {
        if (to - start < 5) throw frameSizeError('HEADERS without its priority fields');
        start += 5;
      }
      // "If the length of the padding is the length of the frame payload or greater, the recipient MUST
      // treat this as a connection error of type PROTOCOL_ERROR."
      if (start > end) throw protocolError('more padding than HEADERS');
    }
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.handler.onFieldBlock(streamId, endStream, buffer, start, end);
      return;
    }
    this.blockStreamId = streamId;
    this.blockEndsStream = endStream;
    this.block = Buffer.from(buffer.subarray(start, end));
    this.held.hold(this.block.length);
    this.blockLength = end - start;
    this.continuations = 0;
  }

  /** Section 6.10. */
  private readContinuation(flags: number, buffer: Buffer, start: number, end: number): void {
    const length = this.blockLength + end - start;
    // Before any memory is spent on it, and whatever the frames hold: a block that never ends is a flood.
    if (++this.continuations > this.limits.maxContinuations) throw calm(TOO_MANY_CONTINUATIONS);
    if (length > BLOCK_TOLERANCE * this.limits.maxHeaderListBytes) throw calm('field block too large');
    if (length > this.block.length) {
      const grown = Buffer.allocUnsafe(2 * length);
      this.block.copy(grown, 0, 0, this.blockLength);
      this.held.hold(grown.length - this.block.length);
      this.block = grown;
    }
    buffer.copy(this.block, this.blockLength, start, end);
    this.blockLength = length;
    if ((flags & Flag.END_HEADERS) === 0) return;
    const streamId = this.blockStreamId;
    const block = this.block;
    this.blockStreamId = 0;
    this.dropBlock();
    this.handler.onFieldBlock(streamId, this.blockEndsStream, block, 0, length);
  }

  private dropBlock(): void {
    this.held.release(this.block.length);
    this.block = NOTHING;
  }

  /** Section 6.5. */
  private readSettings(streamId: number, flags: number, buffer: Buffer, start: number, length: number): void {
    if (streamId !== 0) throw protocolError('SETTINGS on a stream');
    if ((flags & Flag.ACK) !== 0) {
      if (length !== 0) throw frameSizeError('SETTINGS acknowledgement with settings');
      this.handler.onSettingsAcknowledged();
      return;
    }
    if (length % SETTING_LENGTH !== 0)
      throw frameSizeError('SETTINGS of a length that is not a multiple of 6');
    this.settingsSeen = true;
    this.handler.onSettings(buffer, start, start + length);
  }
}

/** "Reserved: ... MUST be ignored when receiving" (section 4.1). */
function streamIdAt(buffer: Buffer, at: number): number {
  return (
    ((buffer[at + 5]! & 0x7f) << 24) | (buffer[at + 6]! << 16) | (buffer[at + 7]! << 8) | buffer[at + 8]!
  );
}

function protocolError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.PROTOCOL_ERROR, message);
}

function frameSizeError(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, message);
}

function calm(message: string): ConnectionError {
  return new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, message);
}
