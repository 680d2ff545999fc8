import type { ConnectionOwner } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { HeaderList } from '../../port/headers.js';
import type { StreamReset } from '../../port/stream.js';
import type { BackendKeepalive } from '../backend-keepalive.js';
import { PINGED_BACKEND_TOO_OFTEN } from '../connection-ends.js';
import type { DialLimits } from '../limits.js';
import { ResetBudget } from '../reset-budget.js';
import { ConnectionError } from './frame.js';
import type { FieldFault, Role, RoleConnection } from './role.js';
import { Setting } from './settings.js';
import {
  checkResponse,
  MALFORMED,
  malformation,
  NO_LENGTH,
  responseStatus,
} from './stream/header-validation.js';
import { FrameStream } from './stream/stream.js';
import { Expected } from './stream/stream-state.js';

/** A connection as a client: it opens streams, and gets responses. */
export class ClientRole implements Role {
  readonly isClient = true;
  /** The dialer sees to that. */
  readonly handshakeTimeoutMilliseconds = Number.POSITIVE_INFINITY;
  readonly settings = [[Setting.ENABLE_PUSH, 0]] as const;
  /** A stream has been answered with HEADERS. */
  hasAnswered = false;
  /** Whether the socket keeps the process alive: without streams it does not. */
  private isReferenced = true;
  private isEndTold = false;
  private watched = false;
  /** What the peer may be sent in RST_STREAM frames. */
  private readonly resets: ResetBudget<{ readonly streamId: number; readonly code: number }>;
  /** It is left to the streams that run: no more should be opened. */
  private isSpared = false;

  /** @param owner is told at once, also from inside a method of a stream */
  constructor(
    private readonly connection: RoleConnection,
    private readonly limits: DialLimits,
    private readonly keepalive: BackendKeepalive,
    private readonly owner: ConnectionOwner,
  ) {
    this.resets = new ResetBudget(limits.resets);
  }

  /** The streams that may run at a time. */
  get maxStreams(): number {
    return Math.min(this.connection.peer.maxConcurrentStreams, this.limits.maxStreamsPerConnection);
  }

  /** Whether a stream can be opened: the peer's SETTINGS are known and leave room. */
  get hasRoom(): boolean {
    const { connection } = this;
    return connection.takesStreams && connection.streams.size < this.maxStreams;
  }

  /** Also of a backend that allows no streams, calls may wait for some. */
  get isPeerNeeded(): boolean {
    const { streams, peer } = this.connection;
    return streams.size > 0 || this.limits.keepalive.withoutCalls || peer.maxConcurrentStreams === 0;
  }

  get isWatched(): boolean {
    return this.watched;
  }

  /** As the port's `ClientConnection` says. */
  set isWatched(isWatched: boolean) {
    this.watched = isWatched;
    // The stream that was for that has not ended yet: until then it counts as any other.
    if (!isWatched && this.connection.streams.size > 0) this.reference();
  }

  openStream(): FrameStream {
    return FrameStream.outgoing(this.connection, this.connection.peer.initialWindowSize);
  }

  shutDown(): void {
    this.connection.goAway();
    this.closeIfDone();
  }

  receiveHeaders(
    stream: FrameStream | undefined,
    streamId: number,
    headers: HeaderList,
    endStream: boolean,
    fault: FieldFault,
  ): void {
    if (stream !== undefined) {
      this.receiveResponse(stream, headers, endStream, fault);
      return;
    }
    // Only a server's push would open a stream this way, and it is not allowed (section 8.4).
    if (this.connection.identifiers.isIdle(streamId)) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'HEADERS on an idle stream');
    }
    this.connection.checkLateHeaders(streamId);
  }

  onStreamOpened(): void {
    if (!this.isIdle) this.reference();
    if (this.connection.identifiers.hasNext) return;
    // "A client that is unable to establish a new stream identifier can establish a new connection for new
    // streams" (section 5.1.1).
    this.connection.goAway();
    this.owner.onGoingAway(true);
  }

  sendReset(streamId: number, code: number): void {
    const { resets } = this;
    if (resets.take()) this.connection.writer.writeResetStream(streamId, code);
    else resets.withhold({ streamId, code });
    if (resets.isLow) this.spare();
  }

  private spare(): void {
    if (this.isSpared || !this.connection.takesStreams) return;
    this.isSpared = true;
    this.owner.onGoingAway(true);
    this.closeIfDone();
  }

  onFlood(): void {
    this.spare();
  }

  check(): void {
    for (const { streamId, code } of this.resets.due()) {
      this.connection.writer.writeResetStream(streamId, code);
    }
  }

  onStreamClosed(): void {
    const { connection } = this;
    if (this.isIdle) this.onUnused();
    const { size } = connection.streams;
    if (size === this.maxStreams - 1 && connection.takesStreams) this.owner.onRoom();
  }

  onSettings(isFirst: boolean): void {
    if (this.isIdle) this.onUnused();
    if (isFirst) this.owner.onReady();
    else if (this.hasRoom) this.owner.onRoom();
  }

  onPing(): void {}

  onPingAcknowledged(): void {}

  /** Section 6.8: streams above the last one that the server names "have not been" processed, and never will. */
  onGoAway(lastStreamId: number, end: ConnectionEnd): void {
    // Before those are told that may make the next connection.
    if (end === PINGED_BACKEND_TOO_OFTEN) this.keepalive.onTooManyPings(this.limits.keepalive);
    const refused = this.connection.streams.values().filter((stream) => stream.id > lastStreamId);
    const reset: StreamReset = {
      code: ErrorCode.REFUSED_STREAM,
      by: 'peer',
      text: end.text,
      lost: undefined,
    };
    for (const stream of refused) stream.receiveReset(reset, true);
    // "An endpoint that encounters a connection error SHOULD first send a GOAWAY frame […] the endpoint MUST
    // close the TCP connection" (section 5.4.1). If the peer does not, its streams must not wait for it.
    if (end.code !== ErrorCode.NO_ERROR) {
      this.connection.destroy(end);
      return;
    }
    this.owner.onGoingAway(false);
    this.closeIfDone();
  }

  onLost(end: ConnectionEnd): void {
    this.tellEnd(end);
  }

  onClosed(end: ConnectionEnd): void {
    this.tellEnd(end);
  }

  private receiveResponse(
    stream: FrameStream,
    headers: HeaderList,
    endStream: boolean,
    fault: FieldFault,
  ): void {
    if (fault !== 'none') {
      stream.fail(ErrorCode.PROTOCOL_ERROR, 'a response with a character that no field may hold');
      return;
    }
    const status = responseStatus(headers);
    // "HTTP/2 does not support the 101 (Switching Protocols) informational status code" (section 8.6).
    if (status === -1 || status === 101) {
      stream.fail(ErrorCode.PROTOCOL_ERROR, 'a response without a :status that may be');
      return;
    }
    const length = checkResponse(headers);
    if (length === MALFORMED) {
      stream.fail(ErrorCode.PROTOCOL_ERROR, `a response with ${malformation()}`);
    } else if (status < 200) {
      // "A HEADERS frame with the END_STREAM flag set that carries an informational status code is malformed"
      // (section 8.1).
      if (endStream) stream.fail(ErrorCode.PROTOCOL_ERROR, 'an interim response with END_STREAM');
      else stream.receiveInterimResponse();
    } else {
      this.receiveFinalResponse(stream, headers, endStream, status, length);
    }
  }

  private receiveFinalResponse(
    stream: FrameStream,
    headers: HeaderList,
    endStream: boolean,
    status: number,
    length: number,
  ): void {
    const hasContent = stream.expects !== Expected.RESPONSE_TO_HEAD && status !== 204 && status !== 304;
    if (hasContent && endStream && length > 0) {
      stream.fail(ErrorCode.PROTOCOL_ERROR, 'less DATA than content-length says');
      return;
    }
    this.hasAnswered = true;
    stream.receiveResponse(headers, endStream, hasContent ? length : NO_LENGTH);
  }

  /** No stream runs but the one that watches. */
  private get isIdle(): boolean {
    return this.connection.streams.size <= (this.watched ? 1 : 0);
  }

  private onUnused(): void {
    if (this.connection.isGoingAway || this.isSpared) this.closeIfDone();
    else this.dereference();
  }

  private closeIfDone(): void {
    if (this.connection.isDead || this.connection.streams.size > 0) return;
    // Somebody may wait for it: the process must not end before the connection has.
    this.reference();
    this.connection.closeGracefully('');
  }

  private tellEnd(end: ConnectionEnd): void {
    if (this.isEndTold) return;
    this.isEndTold = true;
    this.owner.onEnded(end);
  }

  private dereference(): void {
    if (!this.isReferenced) return;
    this.isReferenced = false;
    this.connection.socket.unref();
  }

  private reference(): void {
    if (this.isReferenced) return;
    this.isReferenced = true;
    this.connection.socket.ref();
  }
}
