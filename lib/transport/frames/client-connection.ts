import type { Socket } from 'node:net';
import { type HeaderList, headerValue } from '../../grpc/headers.js';
import type { StreamRequester } from '../port.js';
import { Connection } from './connection.js';
import { CLIENT_PREFACE, ConnectionError, ErrorCode, MAX_31_BITS } from './frame.js';
import { checkResponse, MALFORMED, NO_LENGTH, responseStatus } from './header-validation.js';
import type { FramesLimits } from './limits.js';
import { Setting } from './settings.js';
import { FrameStream } from './stream.js';

/** What a client's connection belongs to. */
export interface ClientConnectionOwner {
  readonly limits: FramesLimits;
  /** There may be room for streams that there was none for, or none any more. */
  onCapacityChanged(connection: ClientConnection): void;
  onConnectionClosed(connection: ClientConnection): void;
}

/** How many interim responses a request may get: a final one may never follow. */
const MAX_INTERIM_RESPONSES = 16;

/** The client's end of a connection. */
export class ClientConnection extends Connection {
  private referenced = true;

  constructor(
    socket: Socket,
    private readonly owner: ClientConnectionOwner,
    /** The identifier of the next stream: 1 but in tests. */
    private nextStreamId = 1,
  ) {
    super(socket, owner.limits, true);
    socket.write(CLIENT_PREFACE);
    this.start([[Setting.ENABLE_PUSH, 0]]);
  }

  /**
   * Whether a stream can be opened: the peer's SETTINGS are known and leave room. "A client that is unable to
   * establish a new stream identifier can establish a new connection for new streams" (section 5.1.1).
   */
  get hasRoom(): boolean {
    return (
      this.settingsReceived &&
      !this.goingAway &&
      this.streams.size < this.peer.maxConcurrentStreams &&
      this.nextStreamId <= MAX_31_BITS
    );
  }

  /** Opens a stream for a requester, which sends its HEADERS at once. */
  open(requester: StreamRequester): void {
    requester.onStream(new FrameStream(this, 0));
  }

  openStream(stream: FrameStream, headers: HeaderList): void {
    stream.id = this.nextStreamId;
    this.nextStreamId += 2;
    stream.isHead = headerValue(headers, ':method') === 'HEAD';
    this.streams.set(stream.id, stream);
    this.reference();
  }

  /** Takes no more streams, and closes once those that are open have ended. */
  shutDown(): void {
    this.goingAway = true;
    this.onCapacityChanged();
  }

  protected receiveHeaders(streamId: number): void {
    // Only a server's push would open a stream this way, and it is not allowed (section 8.4).
    if (this.isIdle(streamId))
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'HEADERS on an idle stream');
    this.checkLateHeaders(streamId);
  }

  protected receiveResponse(
    stream: FrameStream,
    headers: HeaderList,
    endStream: boolean,
    malformed: boolean,
  ): void {
    const status = malformed ? -1 : responseStatus(headers);
    // "HTTP/2 does not support the 101 (Switching Protocols) informational status code" (section 8.6).
    if (status === -1 || status === 101) {
      stream.fail(ErrorCode.PROTOCOL_ERROR);
      return;
    }
    const length = checkResponse(headers);
    if (status < 200) {
      // "A HEADERS frame with the END_STREAM flag set that carries an informational status code is malformed"
      // (section 8.1). Interim responses are of no use to gRPC.
      if (endStream || length === MALFORMED) stream.fail(ErrorCode.PROTOCOL_ERROR);
      else if (++stream.interimResponses > MAX_INTERIM_RESPONSES) stream.fail(ErrorCode.ENHANCE_YOUR_CALM);
      return;
    }
    const hasContent = !stream.isHead && status !== 204 && status !== 304;
    if (length === MALFORMED || (hasContent && endStream && length > 0)) {
      stream.fail(ErrorCode.PROTOCOL_ERROR);
      return;
    }
    stream.contentLeft = hasContent ? length : NO_LENGTH;
    stream.receiveHeaders(headers, endStream);
  }

  override onResetStream(streamId: number, code: number): void {
    // A server that counts ended streams late refuses below its own limit (FINDINGS: C-core). The call is
    // retried, and must not meet the same connection.
    if (code === ErrorCode.REFUSED_STREAM && this.streams.has(streamId)) this.goingAway = true;
    super.onResetStream(streamId, code);
  }

  protected isIdle(streamId: number): boolean {
    return streamId >= this.nextStreamId || (streamId & 1) === 0;
  }

  /** Section 6.8: streams above the last one that the server names "have not been" processed, and never will. */
  protected onPeerGoAway(lastStreamId: number, code: number): void {
    const refused: FrameStream[] = [];
    for (const stream of this.streams.values()) {
      if (stream.id > lastStreamId) refused.push(stream);
    }
    for (const stream of refused) {
      this.onStreamClosed(stream, true);
      stream.receiveReset(ErrorCode.REFUSED_STREAM, false, true);
    }
    // "An endpoint that encounters a connection error SHOULD first send a GOAWAY frame […] the endpoint MUST
    // close the TCP connection" (section 5.4.1). If the peer does not, its streams must not wait for it.
    if (code === ErrorCode.NO_ERROR) this.onCapacityChanged();
    else this.destroy();
  }

  protected onCapacityChanged(): void {
    if (this.dead) return;
    if (this.streams.size === 0) {
      if (this.goingAway) {
        // Somebody may wait for it: the process must not end before the connection has.
        this.reference();
        this.closeGracefully();
      } else {
        this.dereference();
      }
    }
    this.owner.onCapacityChanged(this);
  }

  protected onClosed(): void {
    this.owner.onConnectionClosed(this);
  }

  /** A connection without streams doesn't keep the process alive. */
  private dereference(): void {
    if (!this.referenced || !this.settingsReceived) return;
    this.referenced = false;
    this.socket.unref();
  }

  private reference(): void {
    if (this.referenced) return;
    this.referenced = true;
    this.socket.ref();
  }
}
