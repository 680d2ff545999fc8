import type { Socket } from 'node:net';
import { type Account, type Debtor, HeldBytes } from '../../port/account.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import { type HeaderList, headerListSize } from '../../port/headers.js';
import type { StreamReset } from '../../port/stream.js';
import { brokenProtocol, CLOSED_BY_PEER, CLOSED_HERE, endOfSocket, OVERDRAWN } from '../connection-ends.js';
import { STREAM_WINDOW, type TransportLimits } from '../limits.js';
import { rememberPeer } from '../remember-peer.js';
import type { Checked } from '../watchdog.js';
import { LINGER_MILLISECONDS, linger } from './closing.js';
import { FloodGuard } from './flood-guard.js';
import { CLIENT_PREFACE, ConnectionError } from './frame.js';
import { HeaderEncoder } from './hpack/encoder.js';
import { HeaderListTooLargeError } from './hpack/unsendable-field-error.js';
import { FrameReader } from './input/frame-reader.js';
import { type ConnectionParts, IncomingFrames } from './input/incoming-frames.js';
import { ConnectionReceiveWindow } from './input/receive-window.js';
import { listenTo } from './input/socket-input.js';
import { Liveness } from './liveness.js';
import { FrameWriter } from './output/frame-writer.js';
import { SendScheduler } from './output/send-scheduler.js';
import type { Role, RoleConnection } from './role.js';
import { HEADER_TABLE_SIZE, PeerSettings, Setting } from './settings.js';
import { ClosedStreams } from './stream/closed-streams.js';
import { warn } from './stream/exceptions.js';
import { Identifiers } from './stream/identifiers.js';
import type { FrameStream } from './stream/stream.js';
import { StreamTable } from './stream/stream-table.js';

/** How far a connection has come; it never goes back. */
const Phase = {
  /** The peer's SETTINGS have not come. */
  OPENING: 0,
  RUNNING: 1,
  /** A GOAWAY has been sent or received, or there are no more identifiers: no new streams. */
  GOING_AWAY: 2,
  /** It has failed, or its work is done: nothing is read or written any more. */
  DEAD: 3,
} as const;

/** How often streams are looked at in the time that one may stand still. */
const STALL_LOOKS = 4;

/** A PING's content, for the watchdog's. */
const PROBE = Buffer.from('liveness');

// This engine keeps TypeScript's `private` where the rest of the library has `#`: with `#` throughout, a relay of small
// calls on it took 2, 3 and 6 percent more CPU per call in three measurements on Node 26, where the same code against
// itself differed by 1.5; on Node 20 there was no difference.

/**
 * One HTTP/2 connection, from either side (RFC 9113): how it begins (section 3), is watched, and ends (section
 * 5.4.1). What frames mean is {@link IncomingFrames}' matter, what is different for a client and a server its role's.
 */
export class Connection implements RoleConnection, ConnectionParts, Checked, Debtor {
  readonly isClient: boolean;
  readonly peer = new PeerSettings();
  readonly encoder = new HeaderEncoder(HEADER_TABLE_SIZE);
  readonly writer: FrameWriter;
  readonly scheduler: SendScheduler;
  readonly receiveWindow: ConnectionReceiveWindow;
  /** The streams that are open or half-closed. */
  readonly streams = new StreamTable();
  readonly closedStreams = new ClosedStreams();
  readonly identifiers: Identifiers;
  readonly guard: FloodGuard;
  readonly liveness: Liveness;
  readonly role: Role;

  private readonly reader: FrameReader;
  private phase: number = Phase.OPENING;
  /** Closed streams that hold a reset behind what has been received. */
  private holding: Set<FrameStream> | undefined = undefined;
  private socketError: Error | undefined = undefined;
  /** What the peer's GOAWAY has said: that it is about to close the connection. */
  farewell: ConnectionEnd | undefined = undefined;
  /** Why the connection is of no use any more. */
  private end: ConnectionEnd | undefined = undefined;
  private stallsCheckedAt = performance.now();

  /**
   * @param account what its streams cost, and itself
   * @param makeRole what it is besides a connection; called with it when everything else is there
   */
  constructor(
    readonly socket: Socket,
    readonly account: Account,
    readonly limits: TransportLimits,
    firstStreamId: number,
    makeRole: (connection: RoleConnection) => Role,
  ) {
    this.identifiers = new Identifiers(firstStreamId);
    const held = new HeldBytes(account, this);
    this.guard = new FloodGuard(limits, (what) => this.role.onFlood(what));
    this.liveness = new Liveness(limits);
    this.writer = new FrameWriter(socket, held);
    this.scheduler = new SendScheduler(this.writer, this.peer, this.guard);
    this.writer.drawFrom(this.scheduler);
    this.receiveWindow = new ConnectionReceiveWindow(this.writer);
    this.role = makeRole(this);
    this.isClient = this.role.isClient;
    this.reader = new FrameReader(new IncomingFrames(this), limits, held, !this.isClient);
  }

  get hasSettings(): boolean {
    return this.phase !== Phase.OPENING;
  }

  get takesStreams(): boolean {
    return this.phase === Phase.RUNNING;
  }

  get isGoingAway(): boolean {
    return this.phase >= Phase.GOING_AWAY;
  }

  get isDead(): boolean {
    return this.phase === Phase.DEAD;
  }

  get handshakeTimeoutMilliseconds(): number {
    return this.role.handshakeTimeoutMilliseconds;
  }

  get isPeerNeeded(): boolean {
    return this.role.isPeerNeeded;
  }

  get isInsideFrame(): boolean {
    return this.reader.isInsideFrame;
  }

  /** Sends this side's preface (section 3.4), and begins to read. */
  start(): void {
    const { socket } = this;
    rememberPeer(socket);
    if (this.isClient) socket.write(CLIENT_PREFACE);
    this.writer.writeSettings([
      ...this.role.settings,
      [Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW],
      [Setting.MAX_HEADER_LIST_SIZE, this.limits.maxHeaderListBytes],
    ]);
    this.receiveWindow.open();
    listenTo(socket, (chunk) => this.read(chunk));
    socket.on('error', (error) => {
      this.socketError ??= error;
      socket.destroy();
    });
    socket.on('end', () => {
      this.lose(this.farewell ?? CLOSED_BY_PEER);
      // Over TLS on a broken connection Node never tells that the last write is done (nodejs/node#55804), and then
      // does not close the socket by itself.
      linger(socket, LINGER_MILLISECONDS);
    });
    socket.on('close', () => {
      this.lose(
        this.socketError === undefined && this.farewell ? this.farewell : endOfSocket(this.socketError, true),
      );
      this.role.onClosed(this.end!);
    });
  }

  private read(chunk: Buffer): void {
    this.liveness.onInput();
    if (this.phase === Phase.DEAD) return;
    try {
      this.reader.read(chunk);
    } catch (error) {
      if (error instanceof ConnectionError) {
        this.fail(brokenProtocol(error.code, error.message, error.refusal), error.message);
        return;
      }
      warn(error);
      this.fail({ ...INTERNAL, error: error as Error }, 'internal error');
      return;
    }
    this.writer.pauseReadingIfBackedUp();
  }

  /**
   * A connection error (section 5.4.1).
   *
   * @param debug what the peer is told
   */
  fail(end: ConnectionEnd, debug: string): void {
    if (this.phase === Phase.DEAD) return;
    this.sendGoAway(end.code, debug);
    this.lose(end);
    linger(this.socket);
  }

  destroy(end: ConnectionEnd): void {
    if (this.phase !== Phase.DEAD) {
      this.sendGoAway(ErrorCode.NO_ERROR, '');
      this.lose(end);
    }
    // Also where it closes already: what a peer never reads must not hold it for as long as slow ones may take.
    linger(this.socket, LINGER_MILLISECONDS);
    this.socket.destroySoon();
  }

  goAway(): void {
    if (this.phase < Phase.GOING_AWAY) this.phase = Phase.GOING_AWAY;
  }

  closeGracefully(debug: string): void {
    if (this.phase === Phase.DEAD) return;
    // "Endpoints SHOULD always send a GOAWAY frame before closing a connection" (section 6.8).
    this.sendGoAway(ErrorCode.NO_ERROR, debug);
    this.stop(this.farewell ?? CLOSED_HERE);
    linger(this.socket);
  }

  private sendGoAway(code: number, debug: string): void {
    // To this side its calls are lost: what a peer that reads nothing has not been given of them must not arrive yet.
    if (this.isClient && this.streams.size > 0 && this.writer.blocked) this.writer.drop();
    this.writer.writeGoAway(this.identifiers.lastOfPeer, code, debug);
    this.writer.end();
  }

  /** The connection is of no use any more, which its streams and its role are told, if they have not been. */
  private lose(end: ConnectionEnd): void {
    if (this.end !== undefined) return;
    this.stop(end);
    try {
      this.loseStreams(end);
    } finally {
      this.role.onLost(end);
    }
  }

  private stop(end: ConnectionEnd): void {
    this.phase = Phase.DEAD;
    this.end = end;
    this.reader.stop();
    this.writer.abandon();
  }

  private loseStreams(end: ConnectionEnd): void {
    const by = end.cause === 'protocol' || end.cause === 'local' ? 'local' : 'peer';
    const loss: StreamReset = { code: ErrorCode.CANCEL, by, text: undefined, lost: end };
    const unsent: StreamReset = { ...loss, isUnsent: true };
    const streams = this.streams.values();
    this.streams.clear();
    for (const stream of streams) {
      stream.receiveLoss(!this.isClient || this.writer.hasGiven(stream.openedIn) ? loss : unsent);
    }
    for (const stream of this.holding ?? []) stream.receiveLoss(loss);
    this.holding = undefined;
  }

  /** Called every so often by the transport's watchdog. */
  check(now: number): void {
    if (this.phase === Phase.DEAD) return;
    this.checkStalls(now);
    this.role.check(now);
    const verdict = this.liveness.check(now, this);
    if (verdict === 'ok') return;
    if (verdict === 'ping') this.writer.writePing(0, PROBE, 0);
    else if (verdict === 'settings') this.writer.writeSettings([]);
    else if (verdict.code === ErrorCode.NO_ERROR) this.destroy(verdict);
    else this.fail(verdict, verdict.text);
  }

  private checkStalls(now: number): void {
    if (now - this.stallsCheckedAt < this.limits.stallTimeoutMilliseconds / STALL_LOOKS) return;
    this.stallsCheckedAt = now;
    const { hasMoved } = this.scheduler;
    this.scheduler.hasMoved = false;
    for (const stream of this.streams.values()) {
      // One that has a window waits for its turn, as long as others have theirs.
      if (stream.sendWindow <= 0 || !hasMoved) stream.failIfStalled(STALL_LOOKS);
    }
  }

  /** What it holds by itself is most of too much: output that the peer does not read, or a field block without end. */
  onTooMuchHeld(): void {
    this.failOrCut(OVERDRAWN.bytes);
  }

  /** A connection error to a peer that may not read: then what waits for it goes at once, and it is told nothing. */
  failOrCut(end: ConnectionEnd): void {
    if (!this.writer.blocked) {
      this.fail(end, end.text);
      return;
    }
    this.lose(end);
    this.socket.destroy();
  }

  onSettings(): void {
    const isFirst = this.phase === Phase.OPENING;
    if (isFirst) this.phase = Phase.RUNNING;
    this.role.onSettings(isFirst);
  }

  onGoAway(lastStreamId: number, end: ConnectionEnd): void {
    this.farewell = end;
    this.goAway();
    this.role.onGoAway(lastStreamId, end);
  }

  writeHeaders(streamId: number, headers: HeaderList, endStream: boolean): void {
    const { maxHeaderListSize } = this.peer;
    if (maxHeaderListSize !== Number.POSITIVE_INFINITY) {
      const size = headerListSize(headers);
      if (size > maxHeaderListSize) throw new HeaderListTooLargeError(size, maxHeaderListSize);
    }
    this.guard.onUsefulFrame();
    this.writer.writeHeaders(streamId, endStream, headers, this.encoder, this.peer.maxFrameSize);
  }

  onStreamOpened(stream: FrameStream): void {
    stream.id = this.identifiers.take();
    stream.openedIn = this.writer.filled;
    this.streams.set(stream.id, stream);
    this.role.onStreamOpened();
  }

  onStreamClosed(stream: FrameStream, wasReset: boolean): void {
    this.streams.delete(stream.id);
    this.scheduler.remove(stream);
    if (wasReset) this.closedStreams.addReset(stream.id);
    else this.closedStreams.addEnded(stream.id);
    this.role.onStreamClosed();
  }

  sendReset(streamId: number, code: number): void {
    this.role.sendReset(streamId, code);
  }

  onResetHeld(stream: FrameStream, isHeld: boolean): void {
    if (!isHeld) {
      this.holding?.delete(stream);
    } else if (this.phase !== Phase.DEAD) {
      this.holding ??= new Set();
      this.holding.add(stream);
    }
  }

  refuse(streamId: number, code: number): void {
    this.writer.writeResetStream(streamId, code);
    this.closedStreams.addReset(streamId);
    // A client cannot know of a limit before it has seen the SETTINGS.
    if (code !== ErrorCode.REFUSED_STREAM) this.account.onCallAbandoned();
  }

  ignore(streamId: number): void {
    this.closedStreams.addReset(streamId);
  }

  /**
   * HEADERS for a stream that is closed: expected behind this side's RST_STREAM, an error else. "An endpoint
   * that receives an unexpected stream identifier MUST respond with a connection error of type
   * PROTOCOL_ERROR" (section 5.1.1), and one that was in use before is STREAM_CLOSED (section 5.1).
   */
  checkLateHeaders(streamId: number): void {
    if (this.closedStreams.wasReset(streamId)) return;
    if (this.closedStreams.hasEnded(streamId)) {
      throw new ConnectionError(ErrorCode.STREAM_CLOSED, 'HEADERS on a closed stream');
    }
    // Of the many streams that this side opens, only it can have reset those that it does not remember.
    if (this.identifiers.isOwn(streamId)) return;
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'HEADERS with an unexpected stream identifier');
  }
}

const INTERNAL: ConnectionEnd = {
  cause: 'local',
  code: ErrorCode.INTERNAL_ERROR,
  text: 'this side failed (INTERNAL_ERROR)',
  error: undefined,
};
