import type { Socket } from 'node:net';
import type { HeaderList } from '../../grpc/headers.js';
import { ClosedStreams } from './closed-streams.js';
import { Endpoint } from './endpoint.js';
import { ConnectionError, DEFAULT_MAX_FRAME_SIZE, ErrorCode, Flag } from './frame.js';
import { type FrameHandler, FrameReader } from './frame-reader.js';
import { checkTrailers } from './header-validation.js';
import { CompressionError } from './hpack/compression-error.js';
import { HeaderDecoder } from './hpack/decoder.js';
import { HeaderEncoder } from './hpack/encoder.js';
import type { FramesLimits } from './limits.js';
import { SendScheduler } from './send-scheduler.js';
import { HEADER_TABLE_SIZE, PeerSettings } from './settings.js';
import type { FrameStream } from './stream.js';

/**
 * One HTTP/2 connection, from either side: what RFC 9113 asks of both. Frames come in from the reader, are
 * judged by the state of their stream, and are handed to it.
 */
export abstract class Connection extends Endpoint implements FrameHandler {
  readonly peer = new PeerSettings();
  readonly scheduler: SendScheduler;

  protected readonly reader: FrameReader;
  protected readonly closedStreams = new ClosedStreams();
  private readonly encoder = new HeaderEncoder(HEADER_TABLE_SIZE);
  private readonly decoder: HeaderDecoder;
  /** The stream of the DATA frame that is being received, unless its data is discarded. */
  private dataStream: FrameStream | undefined = undefined;
  /** The octets of that frame that are not data. */
  private dataOverhead = 0;

  constructor(socket: Socket, limits: FramesLimits, isClient: boolean) {
    super(socket, limits, isClient);
    this.scheduler = new SendScheduler(this);
    this.reader = new FrameReader(this, limits, DEFAULT_MAX_FRAME_SIZE);
    this.decoder = new HeaderDecoder(HEADER_TABLE_SIZE, limits.maxHeaderListBytes);
  }

  /** A field block that opens a stream, or belongs to one that is no longer in the table. */
  protected abstract receiveHeaders(
    streamId: number,
    headers: HeaderList,
    endStream: boolean,
    malformed: boolean,
  ): void;

  /** A first field block on a stream that this side opened: a response. */
  protected abstract receiveResponse(
    stream: FrameStream,
    headers: HeaderList,
    endStream: boolean,
    malformed: boolean,
  ): void;

  /** Whether no stream with this identifier was ever opened (section 5.1, "idle"). */
  protected abstract isIdle(streamId: number): boolean;

  /** Gives a stream that this side opens its identifier (section 5.1.1). */
  abstract openStream(stream: FrameStream, headers: HeaderList): void;

  /** The peer's SETTINGS have changed, or a stream has ended. */
  protected abstract onCapacityChanged(): void;

  protected abstract onPeerGoAway(lastStreamId: number, code: number): void;

  onPushPromise(): void {
    // Section 8.4: "A client cannot push", and a server must not after SETTINGS_ENABLE_PUSH 0 (section 6.6).
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'PUSH_PROMISE');
  }

  // Output

  writeHeaders(streamId: number, headers: HeaderList, endStream: boolean): void {
    this.guard.onUsefulFrame();
    this.writer.writeHeaders(streamId, endStream, headers, this.encoder, this.peer.maxFrameSize);
  }

  fill(): void {
    this.scheduler.fill();
  }

  hasMore(): boolean {
    return this.scheduler.hasMore();
  }

  protected tellDrained(): void {
    this.scheduler.tellDrained();
  }

  // Streams

  /** The stream leaves the table. */
  onStreamClosed(stream: FrameStream, wasReset: boolean): void {
    if (stream.closed) return;
    stream.closed = true;
    this.streams.delete(stream.id);
    if (wasReset) this.closedStreams.addReset(stream.id);
    else this.closedStreams.addEnded(stream.id);
    this.onCapacityChanged();
  }

  /** A stream error (section 5.4.2) on a stream that has no receiver. */
  protected refuse(streamId: number, code: number): void {
    this.writer.writeResetStream(streamId, code);
    this.closedStreams.addReset(streamId);
    this.guard.onStreamError();
  }

  // Frames

  onDataFrame(streamId: number, length: number): void {
    this.liveness.active = true;
    if (!this.receiveWindow.receive(length)) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window exceeded');
    }
    this.dataStream = undefined;
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      // "Receiving any frame other than HEADERS or PRIORITY on a stream in this [idle] state MUST be treated
      // as a connection error of type PROTOCOL_ERROR" (section 5.1).
      if (this.isIdle(streamId))
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'DATA on an idle stream');
      if (!this.closedStreams.wasReset(streamId)) this.refuse(streamId, ErrorCode.STREAM_CLOSED);
    } else if (stream.remoteClosed) {
      // Section 5.1, "half-closed (remote)".
      stream.fail(ErrorCode.STREAM_CLOSED);
    } else if (!stream.headersReceived) {
      // A message begins with HEADERS (section 8.1).
      stream.fail(ErrorCode.PROTOCOL_ERROR);
    } else {
      stream.receiveWindow -= length;
      if (stream.receiveWindow < 0) {
        stream.fail(ErrorCode.FLOW_CONTROL_ERROR);
        return;
      }
      this.dataStream = stream;
      this.dataOverhead = length;
    }
  }

  onDataPayload(payload: Buffer): void {
    this.dataOverhead -= payload.length;
    const stream = this.dataStream;
    if (stream !== undefined && !stream.closed) stream.receiveData(payload);
  }

  onDataFrameEnd(endStream: boolean, empty: boolean): void {
    if (empty && !endStream) this.guard.onIdleFrame();
    else this.guard.onUsefulFrame();
    const stream = this.dataStream;
    // A connection that is idle after this must not keep the call's objects.
    this.dataStream = undefined;
    if (stream === undefined || stream.closed) return;
    // "The entire DATA frame payload is included in flow control, including the Pad Length and Padding fields
    // if present" (section 6.1), and nobody else consumes these.
    if (this.dataOverhead > 0) stream.credit(this.dataOverhead);
    if (endStream) stream.receiveEnd();
  }

  onFieldBlock(streamId: number, endStream: boolean, block: Buffer, start: number, end: number): void {
    let headers: HeaderList;
    try {
      headers = this.decoder.decode(block, start, end);
    } catch (error) {
      if (!(error instanceof CompressionError)) throw error;
      throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, error.message);
    }
    this.guard.onUsefulFrame();
    this.liveness.active = true;
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.receiveHeaders(streamId, headers, endStream, this.decoder.illegal);
    } else if (stream.remoteClosed) {
      stream.fail(ErrorCode.STREAM_CLOSED);
    } else if (this.decoder.tooLarge) {
      stream.fail(ErrorCode.ENHANCE_YOUR_CALM);
    } else if (!stream.headersReceived) {
      this.receiveResponse(stream, headers, endStream, this.decoder.illegal);
    } else if (!endStream || this.decoder.illegal || !checkTrailers(headers, !this.isClient)) {
      // Section 8.1: "a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that
      // opens a request or after receiving a final (non-informational) status code" is malformed.
      stream.fail(ErrorCode.PROTOCOL_ERROR);
    } else {
      stream.receiveTrailers(headers);
    }
  }

  /** Whether the last list was too large to be delivered. */
  protected get headersTooLarge(): boolean {
    return this.decoder.tooLarge;
  }

  onResetStream(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
      }
      this.guard.onIdleFrame();
      return;
    }
    this.onStreamClosed(stream, false);
    stream.receiveReset(code, false, this.isClient);
    this.guard.onReset();
  }

  onSettings(payload: Buffer, start: number, end: number): void {
    this.guard.onSettings();
    const peer = this.peer;
    const windowBefore = peer.initialWindowSize;
    peer.apply(payload, start, end, this.isClient);
    // Acknowledged before anything that follows from it goes out.
    this.writer.writeSettingsAcknowledgement();
    // The smallest size must be told even if a larger one has followed at once (RFC 7541 section 4.2).
    this.encoder.setMaxTableSize(peer.smallestHeaderTableSize);
    this.encoder.setMaxTableSize(peer.headerTableSize);
    this.changeWindows(peer.initialWindowSize - windowBefore);
    this.settingsReceived = true;
    this.onCapacityChanged();
  }

  onSettingsAcknowledged(): void {
    this.liveness.onSettingsAcknowledged();
    this.guard.onIdleFrame();
  }

  onPing(payload: Buffer, start: number): void {
    this.guard.onIdleFrame();
    this.writer.writePing(Flag.ACK, payload, start);
  }

  onPingAcknowledged(_payload: Buffer, _start: number): void {
    this.liveness.onPingAcknowledged();
    this.guard.onIdleFrame();
  }

  onGoAway(lastStreamId: number, code: number): void {
    this.guard.onIdleFrame();
    this.goingAway = true;
    this.onPeerGoAway(lastStreamId, code);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.guard.onIdleFrame();
    if (streamId === 0) {
      // "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window increment of 0
      // as a stream error of type PROTOCOL_ERROR; errors on the connection flow-control window MUST be treated
      // as a connection error" (section 6.9).
      if (increment === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      if (!this.scheduler.onWindowUpdate(increment)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window above 2^31-1');
      }
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
      }
    } else if (increment === 0) {
      stream.fail(ErrorCode.PROTOCOL_ERROR);
    } else if (!this.scheduler.changeWindow(stream, increment)) {
      // "For streams, the sender sends a RST_STREAM with an error code of FLOW_CONTROL_ERROR" (section 6.9.1).
      stream.fail(ErrorCode.FLOW_CONTROL_ERROR);
    }
  }

  onIgnoredFrame(): void {
    this.guard.onIdleFrame();
  }

  onStreamFrameSizeError(streamId: number): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      stream.fail(ErrorCode.FRAME_SIZE_ERROR);
    } else if (this.isIdle(streamId)) {
      // "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state" (section 6.4).
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'PRIORITY of another length than 5');
    }
  }

  /**
   * "When the value of SETTINGS_INITIAL_WINDOW_SIZE changes, a receiver MUST adjust the size of all stream
   * flow-control windows that it maintains by the difference" (section 6.9.2); they may become negative.
   */
  private changeWindows(change: number): void {
    if (change === 0) return;
    for (const stream of this.streams.values()) {
      if (!this.scheduler.changeWindow(stream, change)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'stream window above 2^31-1');
      }
    }
  }

  /**
   * HEADERS for a stream that is closed: expected behind this side's RST_STREAM, an error else. "An endpoint
   * that receives an unexpected stream identifier MUST respond with a connection error of type
   * PROTOCOL_ERROR" (section 5.1.1), and one that was in use before is STREAM_CLOSED (section 5.1).
   */
  protected checkLateHeaders(streamId: number): void {
    if (this.closedStreams.wasReset(streamId)) return;
    throw this.closedStreams.hasEnded(streamId)
      ? new ConnectionError(ErrorCode.STREAM_CLOSED, 'HEADERS on a closed stream')
      : new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'HEADERS with an unexpected stream identifier');
  }
}
