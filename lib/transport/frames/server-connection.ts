import type { Socket } from 'node:net';
import type { HeaderList } from '../../grpc/headers.js';
import type { StreamAcceptor } from '../port.js';
import { Connection } from './connection.js';
import { CLIENT_PREFACE, ConnectionError, ErrorCode, MAX_31_BITS } from './frame.js';
import { checkRequest, MALFORMED } from './header-validation.js';
import type { FramesLimits } from './limits.js';
import { Setting } from './settings.js';
import { FrameStream } from './stream.js';

/** What a server's connection belongs to. */
export interface ServerConnectionOwner {
  readonly acceptor: StreamAcceptor;
  readonly limits: FramesLimits;
  readonly maxConcurrentStreams: number;
  onConnectionClosed(connection: ServerConnection): void;
}

/** How long the first GOAWAY of a shutdown waits for the answer to its PING. */
const SHUTDOWN_MILLISECONDS = 1000;

/** The server's end of a connection. */
export class ServerConnection extends Connection {
  private prefaceLength = 0;
  private shuttingDown = false;
  /** What the last GOAWAY has told: streams above it are not taken. */
  private lastAccepted = MAX_31_BITS;

  constructor(
    socket: Socket,
    private readonly owner: ServerConnectionOwner,
  ) {
    super(socket, owner.limits, false);
    this.start([[Setting.MAX_CONCURRENT_STREAMS, owner.maxConcurrentStreams]]);
  }

  /**
   * Shuts down in the two steps of section 6.8: a GOAWAY that refuses nothing yet, so that requests which are
   * on their way are served, and after a round trip the one that names the last stream.
   */
  shutDown(): void {
    if (this.dead || this.shuttingDown) return;
    this.shuttingDown = true;
    if (!this.settingsReceived) {
      this.finishShutDown();
      return;
    }
    this.writer.writeGoAway(MAX_31_BITS, ErrorCode.NO_ERROR, '');
    this.writer.writePing(0, SHUTDOWN, 0);
    // A peer that doesn't answer is told all the same.
    setTimeout(() => this.finishShutDown(), SHUTDOWN_MILLISECONDS).unref();
  }

  private finishShutDown(): void {
    if (this.dead || this.lastAccepted !== MAX_31_BITS) return;
    this.lastAccepted = this.lastPeerStreamId;
    this.goingAway = true;
    if (this.streams.size > 0) this.writer.writeGoAway(this.lastAccepted, ErrorCode.NO_ERROR, '');
    this.onCapacityChanged();
  }

  override onPingAcknowledged(payload: Buffer, start: number): void {
    super.onPingAcknowledged(payload, start);
    if (this.shuttingDown && payload.compare(SHUTDOWN, 0, 8, start, start + 8) === 0) this.finishShutDown();
  }

  /** Reads the client's preface (section 3.4), then frames. */
  protected override read(chunk: Buffer, start: number): void {
    if (this.prefaceLength === CLIENT_PREFACE.length) {
      super.read(chunk, start);
      return;
    }
    const end = Math.min(chunk.length, CLIENT_PREFACE.length - this.prefaceLength);
    const expected = CLIENT_PREFACE.subarray(this.prefaceLength, this.prefaceLength + end);
    // "Clients and servers MUST treat an invalid connection preface as a connection error of type
    // PROTOCOL_ERROR."
    if (chunk.compare(expected, 0, end, 0, end) !== 0) {
      this.fail(ErrorCode.PROTOCOL_ERROR, 'invalid connection preface');
      return;
    }
    this.prefaceLength += end;
    if (end < chunk.length) super.read(chunk, end);
  }

  protected receiveHeaders(
    streamId: number,
    headers: HeaderList,
    endStream: boolean,
    malformed: boolean,
  ): void {
    // Section 5.1.1: clients "MUST use odd-numbered stream identifiers", each higher than all before.
    if ((streamId & 1) === 0) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'even stream identifier');
    if (streamId <= this.lastPeerStreamId) {
      this.checkLateHeaders(streamId);
      return;
    }
    // "After sending a GOAWAY frame, the sender can discard frames for streams initiated by the receiver with
    // identifiers higher than the identified last stream" (section 6.8): this block, which has been decoded,
    // and what follows it.
    if (streamId > this.lastAccepted) {
      this.closedStreams.addReset(streamId);
      return;
    }
    this.lastPeerStreamId = streamId;
    if (this.headersTooLarge) {
      this.refuse(streamId, ErrorCode.ENHANCE_YOUR_CALM);
      return;
    }
    // "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream limit to be
    // exceeded MUST treat this as a stream error of type PROTOCOL_ERROR or REFUSED_STREAM" (section 5.1.2).
    if (this.streams.size >= this.owner.maxConcurrentStreams) {
      this.refuse(streamId, ErrorCode.REFUSED_STREAM);
      return;
    }
    const length = malformed ? MALFORMED : checkRequest(headers);
    if (length === MALFORMED || (endStream && length > 0)) {
      this.refuse(streamId, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const stream = new FrameStream(this, streamId);
    stream.headersReceived = true;
    stream.contentLeft = length;
    stream.remoteClosed = endStream;
    this.streams.set(streamId, stream);
    this.owner.acceptor.onStream(stream, headers, endStream);
  }

  protected receiveResponse(): void {
    throw new Error('a server opens no streams');
  }

  openStream(): void {
    throw new Error('a server opens no streams');
  }

  protected isIdle(streamId: number): boolean {
    // Streams above the last one of a GOAWAY may have been opened, and were ignored.
    return (streamId > this.lastPeerStreamId && streamId <= this.lastAccepted) || (streamId & 1) === 0;
  }

  protected onPeerGoAway(): void {
    // The client opens no more streams; those that are open are finished.
    this.onCapacityChanged();
  }

  protected onCapacityChanged(): void {
    if (this.goingAway && this.streams.size === 0) this.closeGracefully();
  }

  protected onClosed(): void {
    this.owner.onConnectionClosed(this);
  }
}

/** The content of the PING between the two steps of a shutdown. */
const SHUTDOWN = Buffer.from('shutdown');
