import type { StreamAcceptor } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { HeaderList } from '../../port/headers.js';
import { ConnectionAge } from '../connection-age.js';
import { TOO_MANY_PINGS, TOO_OLD } from '../connection-ends.js';
import { ConnectionUse } from '../connection-use.js';
import type { ServerLimits } from '../limits.js';
import { PingStrikes } from '../ping-strikes.js';
import { ConnectionError, MAX_31_BITS } from './frame.js';
import type { FieldFault, Role, RoleConnection } from './role.js';
import { Setting } from './settings.js';
import { checkRequest, MALFORMED } from './stream/header-validation.js';
import { FrameStream } from './stream/stream.js';

/**
 * How long the first GOAWAY of a shutdown waits for the answer to its PING. With the time to linger behind it, a connection
 * that carries no call is closed within a second.
 */
const SHUTDOWN_MILLISECONDS = 400;

/** The content of the PING between the two steps of a shutdown. */
const SHUTDOWN = Buffer.from('shutdown');

/** A connection as a server: it takes the streams that the client opens. */
export class ServerRole implements Role {
  readonly isClient = false;
  /** A client must be there even when nothing runs: nobody else would ever close its connection. */
  readonly isPeerNeeded = true;
  readonly handshakeTimeoutMilliseconds: number;
  readonly settings: readonly (readonly [number, number])[];
  private readonly age: ConnectionAge;
  private readonly use: ConnectionUse;
  /** What the client is told as the reason of a shutdown. */
  private farewell = '';
  private readonly pingStrikes: PingStrikes | undefined;
  private isShuttingDown = false;
  private shutdownTimer: NodeJS.Timeout | undefined = undefined;

  /** @param onClosed called when the socket is closed */
  constructor(
    private readonly connection: RoleConnection,
    private readonly acceptor: StreamAcceptor,
    private readonly limits: ServerLimits,
    readonly onClosed: () => void,
  ) {
    this.settings = [[Setting.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams]];
    this.handshakeTimeoutMilliseconds = limits.handshakeTimeoutMilliseconds;
    this.pingStrikes = PingStrikes.of(limits.permitKeepalive);
    this.age = new ConnectionAge(limits);
    this.use = new ConnectionUse(limits.idleTimeoutMilliseconds);
  }

  /**
   * Shuts down in the two steps of section 6.8: a GOAWAY that refuses nothing yet, so that requests which are
   * on their way are served, and after a round trip the one that names the last stream.
   */
  shutDown(debug = ''): void {
    const { connection } = this;
    if (connection.isDead || this.isShuttingDown) return;
    this.isShuttingDown = true;
    this.farewell = debug;
    if (!connection.hasSettings) {
      this.finishShutDown();
      return;
    }
    connection.writer.writeGoAway(MAX_31_BITS, ErrorCode.NO_ERROR, debug);
    connection.writer.writePing(0, SHUTDOWN, 0);
    // A peer that doesn't answer is told all the same.
    this.shutdownTimer = setTimeout(() => this.finishShutDown(), SHUTDOWN_MILLISECONDS).unref();
  }

  private finishShutDown(): void {
    clearTimeout(this.shutdownTimer);
    const { connection } = this;
    const { identifiers } = connection;
    if (connection.isDead || identifiers.lastAccepted !== MAX_31_BITS) return;
    identifiers.lastAccepted = identifiers.lastOfPeer;
    connection.goAway();
    this.age.onLastGoaway();
    if (connection.streams.size > 0) {
      connection.writer.writeGoAway(identifiers.lastAccepted, ErrorCode.NO_ERROR, this.farewell);
    }
    this.closeIfDone();
  }

  receiveHeaders(
    _stream: undefined,
    streamId: number,
    headers: HeaderList,
    endStream: boolean,
    fault: FieldFault,
  ): void {
    const { connection } = this;
    const { identifiers } = connection;
    // Section 5.1.1: clients "MUST use odd-numbered stream identifiers", each higher than all before.
    if (identifiers.isOwn(streamId)) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'even stream identifier');
    }
    if (streamId <= identifiers.lastOfPeer) {
      connection.checkLateHeaders(streamId);
      return;
    }
    // "After sending a GOAWAY frame, the sender can discard frames for streams initiated by the receiver with
    // identifiers higher than the identified last stream" (section 6.8): this block, which has been decoded,
    // and what follows it.
    if (streamId > identifiers.lastAccepted) {
      connection.ignore(streamId);
      return;
    }
    identifiers.lastOfPeer = streamId;
    if (fault === 'too large') {
      connection.refuse(streamId, ErrorCode.ENHANCE_YOUR_CALM);
      return;
    }
    // "An endpoint that receives a HEADERS frame that causes its advertised concurrent stream limit to be
    // exceeded MUST treat this as a stream error of type PROTOCOL_ERROR or REFUSED_STREAM" (section 5.1.2).
    if (connection.streams.size >= this.limits.maxConcurrentStreams) {
      connection.refuse(streamId, ErrorCode.REFUSED_STREAM);
      return;
    }
    const length = fault === 'illegal' ? MALFORMED : checkRequest(headers);
    if (length === MALFORMED || (endStream && length > 0)) {
      connection.refuse(streamId, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    this.accept(streamId, headers, endStream, length);
  }

  private accept(streamId: number, headers: HeaderList, endStream: boolean, length: number): void {
    const { connection } = this;
    const stream = FrameStream.incoming(
      connection,
      streamId,
      connection.peer.initialWindowSize,
      endStream,
      length,
    );
    connection.streams.set(streamId, stream);
    try {
      this.acceptor.onStream(stream, headers, endStream);
    } catch (error) {
      stream.failByReceiver(error);
    }
  }

  sendReset(streamId: number, code: number): void {
    this.connection.writer.writeResetStream(streamId, code);
  }

  onFlood(what: string): void {
    throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, `too many ${what}`);
  }

  check(now: number): void {
    const { connection } = this;
    const age = this.age.at(now);
    if (age === 'old') this.shutDown('max_age');
    else if (age === 'over') connection.destroy(TOO_OLD);
    else if (
      connection.hasSettings &&
      this.use.isIdleAt(now, connection.streams.size, connection.identifiers.lastOfPeer)
    )
      this.shutDown('max_idle');
  }

  onStreamOpened(): void {}

  onStreamClosed(): void {
    if (this.connection.isGoingAway) this.closeIfDone();
  }

  onSettings(): void {}

  onPing(): void {
    const { pingStrikes, connection } = this;
    if (pingStrikes === undefined) return;
    if (connection.writer.hasSentContent) pingStrikes.reset();
    connection.writer.hasSentContent = false;
    if (pingStrikes.isExceededBy(performance.now(), connection.streams.size > 0)) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, TOO_MANY_PINGS, 'too_many_pings');
    }
  }

  onPingAcknowledged(payload: Buffer, start: number): void {
    if (this.isShuttingDown && payload.compare(SHUTDOWN, 0, 8, start, start + 8) === 0) this.finishShutDown();
  }

  /** The client opens no more streams; those that are open are finished. */
  onGoAway(): void {
    this.closeIfDone();
  }

  onLost({ refusal, text }: ConnectionEnd): void {
    clearTimeout(this.shutdownTimer);
    if (refusal !== undefined) this.acceptor.onPeerRefused?.(this.connection.socket, refusal, text);
  }

  private closeIfDone(): void {
    if (this.connection.streams.size === 0) this.connection.closeGracefully(this.farewell);
  }
}
