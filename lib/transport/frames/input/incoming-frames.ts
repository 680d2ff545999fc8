import type { ConnectionEnd } from '../../../port/connection-end.js';
import { ErrorCode } from '../../../port/error-code.js';
import type { HeaderList } from '../../../port/headers.js';
import { goneAway } from '../../connection-ends.js';
import type { TransportLimits } from '../../limits.js';
import type { FloodGuard } from '../flood-guard.js';
import { ConnectionError, Flag } from '../frame.js';
import { CompressionError } from '../hpack/compression-error.js';
import { HeaderDecoder } from '../hpack/decoder.js';
import type { HeaderEncoder } from '../hpack/encoder.js';
import type { Liveness } from '../liveness.js';
import type { FrameWriter } from '../output/frame-writer.js';
import type { SendScheduler } from '../output/send-scheduler.js';
import type { FieldFault, Role } from '../role.js';
import { HEADER_TABLE_SIZE, type PeerSettings } from '../settings.js';
import type { ClosedStreams } from '../stream/closed-streams.js';
import { checkTrailers, malformation } from '../stream/header-validation.js';
import type { Identifiers } from '../stream/identifiers.js';
import type { FrameStream } from '../stream/stream.js';
import { Expected } from '../stream/stream-state.js';
import type { StreamTable } from '../stream/stream-table.js';
import type { FrameHandler } from './frame-reader.js';
import type { ConnectionReceiveWindow } from './receive-window.js';

/** The parts of a connection that frames act on. */
export interface ConnectionParts {
  readonly limits: TransportLimits;
  readonly peer: PeerSettings;
  readonly encoder: HeaderEncoder;
  readonly writer: FrameWriter;
  readonly scheduler: SendScheduler;
  readonly receiveWindow: ConnectionReceiveWindow;
  readonly streams: StreamTable;
  readonly closedStreams: ClosedStreams;
  readonly identifiers: Identifiers;
  readonly guard: FloodGuard;
  readonly liveness: Liveness;
  readonly role: Role;
  /** What the peer has said by GOAWAY. */
  readonly farewell: ConnectionEnd | undefined;
  /** A stream error (section 5.4.2) on a stream that has no receiver. */
  refuse(streamId: number, code: number): void;
  /** The peer's SETTINGS have come. */
  onSettings(): void;
  /** The peer has sent GOAWAY, which says this. */
  onGoAway(lastStreamId: number, end: ConnectionEnd): void;
}

/** What frames mean (RFC 9113 section 6): they are judged by the state of their stream, and handed to it. */
export class IncomingFrames implements FrameHandler {
  private readonly streams: StreamTable;
  private readonly guard: FloodGuard;
  private readonly liveness: Liveness;
  private readonly decoder: HeaderDecoder;
  /** The stream of the DATA frame that is being received, unless its data is discarded. */
  private dataStream: FrameStream | undefined = undefined;
  /** The octets of that frame that are not data. */
  private dataOverhead = 0;

  constructor(private readonly connection: ConnectionParts) {
    this.streams = connection.streams;
    this.guard = connection.guard;
    this.liveness = connection.liveness;
    this.decoder = new HeaderDecoder(HEADER_TABLE_SIZE, connection.limits.maxHeaderListBytes);
  }

  onDataFrame(streamId: number, length: number): void {
    this.liveness.onStreamFrame();
    this.connection.receiveWindow.receive(length);
    this.dataStream = undefined;
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.onLateData(streamId);
    } else if (stream.isRemoteClosed) {
      // Section 5.1, "half-closed (remote)".
      stream.fail(ErrorCode.STREAM_CLOSED, 'DATA behind END_STREAM');
    } else if (stream.expects !== Expected.CONTENT) {
      // A message begins with HEADERS (section 8.1).
      stream.fail(ErrorCode.PROTOCOL_ERROR, 'DATA before HEADERS');
    } else if (!stream.takeWindow(length)) {
      stream.fail(ErrorCode.FLOW_CONTROL_ERROR, "DATA above the stream's window");
    } else {
      this.dataStream = stream;
      this.dataOverhead = length;
    }
  }

  onDataPayload(payload: Buffer): void {
    this.dataOverhead -= payload.length;
    const stream = this.dataStream;
    if (stream === undefined || stream.isClosed) return;
    try {
      stream.receiveData(payload);
    } catch (error) {
      onStreamException(stream, error);
    }
  }

  onDataFrameEnd(endStream: boolean, empty: boolean): void {
    if (empty && !endStream) this.guard.onIdleFrame();
    else this.guard.onUsefulFrame();
    const stream = this.dataStream;
    // A connection that is idle after this must not keep the call's objects.
    this.dataStream = undefined;
    if (stream === undefined || stream.isClosed) return;
    // "The entire DATA frame payload is included in flow control, including the Pad Length and Padding fields
    // if present" (section 6.1), and nobody else consumes these.
    if (this.dataOverhead > 0) stream.credit(this.dataOverhead);
    if (!endStream) return;
    try {
      stream.receiveEnd();
    } catch (error) {
      onStreamException(stream, error);
    }
  }

  onFieldBlock(streamId: number, endStream: boolean, block: Buffer, start: number, end: number): void {
    const headers = this.decode(block, start, end);
    this.guard.onUsefulFrame();
    this.liveness.onStreamFrame();
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.connection.role.receiveHeaders(undefined, streamId, headers, endStream, this.fieldFault);
      return;
    }
    try {
      this.receiveFields(stream, headers, endStream);
    } catch (error) {
      onStreamException(stream, error);
    }
  }

  onResetStream(streamId: number, code: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.refuseIdle(streamId, 'RST_STREAM');
      this.guard.onIdleFrame();
      return;
    }
    stream.receiveReset({ code, by: 'peer', text: undefined, lost: undefined }, false);
  }

  onSettings(payload: Buffer, start: number, end: number): void {
    this.guard.onSettings();
    const { peer, encoder } = this.connection;
    const windowBefore = peer.initialWindowSize;
    peer.apply(payload, start, end, this.connection.role.isClient);
    // Acknowledged before anything that follows from it goes out.
    this.connection.writer.writeSettingsAcknowledgement();
    // The smallest size must be told even if a larger one has followed at once (RFC 7541 section 4.2).
    encoder.setMaxTableSize(peer.smallestHeaderTableSize);
    encoder.setMaxTableSize(peer.headerTableSize);
    this.changeWindows(peer.initialWindowSize - windowBefore);
    this.connection.onSettings();
  }

  onSettingsAcknowledged(): void {
    this.liveness.onSettingsAcknowledged();
    this.guard.onIdleFrame();
  }

  onPushPromise(): void {
    // Section 8.4: "A client cannot push", and a server must not after SETTINGS_ENABLE_PUSH 0 (section 6.6).
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'PUSH_PROMISE');
  }

  onPing(payload: Buffer, start: number): void {
    this.guard.onIdleFrame();
    this.connection.role.onPing();
    this.connection.writer.writePing(Flag.ACK, payload, start);
  }

  onPingAcknowledged(payload: Buffer, start: number): void {
    this.guard.onIdleFrame();
    this.connection.role.onPingAcknowledged(payload, start);
  }

  onGoAway(lastStreamId: number, code: number, debugData: Buffer): void {
    this.guard.onIdleFrame();
    this.connection.onGoAway(lastStreamId, goneAway(code, debugData, this.connection.farewell));
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.guard.onIdleFrame();
    const { scheduler } = this.connection;
    if (streamId === 0) {
      // "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window increment of 0
      // as a stream error of type PROTOCOL_ERROR; errors on the connection flow-control window MUST be treated
      // as a connection error" (section 6.9).
      if (increment === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      if (!scheduler.onWindowUpdate(increment)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window above 2^31-1');
      }
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.refuseIdle(streamId, 'WINDOW_UPDATE');
    } else if (increment === 0) {
      stream.fail(ErrorCode.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    } else if (!scheduler.changeWindow(stream, increment)) {
      // "For streams, the sender sends a RST_STREAM with an error code of FLOW_CONTROL_ERROR" (section 6.9.1).
      stream.fail(ErrorCode.FLOW_CONTROL_ERROR, 'stream window above 2^31-1');
    }
  }

  onIgnoredFrame(): void {
    this.guard.onIdleFrame();
  }

  onStreamFrameSizeError(streamId: number): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      stream.fail(ErrorCode.FRAME_SIZE_ERROR, 'PRIORITY of another length than 5');
    } else if (this.connection.identifiers.isIdle(streamId)) {
      // "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state" (section 6.4).
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'PRIORITY of another length than 5');
    }
  }

  private decode(block: Buffer, start: number, end: number): HeaderList {
    try {
      return this.decoder.decode(block, start, end);
    } catch (error) {
      if (!(error instanceof CompressionError)) throw error;
      throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, error.message);
    }
  }

  private get fieldFault(): FieldFault {
    if (this.decoder.tooLarge) return 'too large';
    return this.decoder.illegal ? 'illegal' : 'none';
  }

  /** A field block for a stream that is open. */
  private receiveFields(stream: FrameStream, headers: HeaderList, endStream: boolean): void {
    if (stream.isRemoteClosed) {
      stream.fail(ErrorCode.STREAM_CLOSED, 'HEADERS behind END_STREAM');
    } else if (this.decoder.tooLarge) {
      stream.fail(ErrorCode.ENHANCE_YOUR_CALM, 'header list too large');
    } else if (stream.expects !== Expected.CONTENT) {
      this.connection.role.receiveHeaders(stream, stream.id, headers, endStream, this.fieldFault);
    } else if (!endStream) {
      // Section 8.1: "a HEADERS frame without the END_STREAM flag set after receiving the HEADERS frame that
      // opens a request or after receiving a final (non-informational) status code" is malformed.
      stream.fail(ErrorCode.PROTOCOL_ERROR, 'trailers without END_STREAM');
    } else if (this.decoder.illegal) {
      stream.fail(ErrorCode.PROTOCOL_ERROR, 'trailers with a character that no field may hold');
    } else if (!checkTrailers(headers, !this.connection.role.isClient)) {
      stream.fail(ErrorCode.PROTOCOL_ERROR, `trailers with ${malformation()}`);
    } else {
      stream.receiveTrailers(headers);
    }
  }

  /** DATA for a stream that is not in the table. */
  private onLateData(streamId: number): void {
    this.refuseIdle(streamId, 'DATA');
    const { identifiers, closedStreams } = this.connection;
    if (closedStreams.wasReset(streamId)) return;
    // Of the many streams that this side opens, only it can have reset those that it does not remember.
    if (identifiers.isOwn(streamId) && !closedStreams.hasEnded(streamId)) return;
    this.connection.refuse(streamId, ErrorCode.STREAM_CLOSED);
  }

  /**
   * "Receiving any frame other than HEADERS or PRIORITY on a stream in this [idle] state MUST be treated as a
   * connection error of type PROTOCOL_ERROR" (section 5.1).
   */
  private refuseIdle(streamId: number, what: string): void {
    if (!this.connection.identifiers.isIdle(streamId)) return;
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, `${what} on an idle stream`);
  }

  /**
   * "When the value of SETTINGS_INITIAL_WINDOW_SIZE changes, a receiver MUST adjust the size of all stream
   * flow-control windows that it maintains by the difference" (section 6.9.2); they may become negative.
   */
  private changeWindows(change: number): void {
    if (change === 0) return;
    for (const stream of this.streams.values()) {
      if (!this.connection.scheduler.changeWindow(stream, change)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'stream window above 2^31-1');
      }
    }
  }
}

/** A receiver's exception ends its stream alone; the others are the connection's matter. */
function onStreamException(stream: FrameStream, error: unknown): void {
  if (error instanceof ConnectionError) throw error;
  stream.failByReceiver(error);
}
