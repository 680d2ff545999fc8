import type { Socket } from 'node:net';
import { FloodGuard } from './flood-guard.js';
import { ConnectionReceiveWindow, STREAM_WINDOW } from './flow-control.js';
import { ConnectionError, ErrorCode } from './frame.js';
import type { FrameReader } from './frame-reader.js';
import { FrameWriter, type OutputSource } from './frame-writer.js';
import type { FramesLimits } from './limits.js';
import { Liveness } from './liveness.js';
import { Setting } from './settings.js';
import { listenTo } from './socket-input.js';
import { StreamTable } from './stream-table.js';

/** Reading stops while this much output waits for a peer that reads nothing itself. */
const MAX_BACKLOG = 1024 * 1024;

/** How long a peer has to close a connection that this side has half-closed, before the socket is destroyed. */
const LINGER_MILLISECONDS = 1000;

/** How long it has to take what was sent before. */
const MAX_FLUSH_MILLISECONDS = 30_000;

/**
 * The life of a connection: how it begins (RFC 9113 section 3), is watched, and ends (section 5.4.1). What
 * frames mean is {@link Connection}'s matter.
 */
export abstract class Endpoint implements OutputSource {
  readonly writer: FrameWriter;
  readonly guard: FloodGuard;
  readonly liveness: Liveness;
  /** The streams that are open or half-closed. */
  readonly streams = new StreamTable();

  /** The peer's SETTINGS have been received. */
  settingsReceived = false;
  /** A GOAWAY has been sent or received, or the connection is gone: no new streams. */
  goingAway = false;
  /** The connection has failed, or its socket is closed: nothing is read or written any more. */
  dead = false;
  /** So much output waits for the peer that nothing more of it is read. */
  isReadingPaused = false;

  /** The highest stream that the peer has opened. */
  protected lastPeerStreamId = 0;
  protected readonly receiveWindow: ConnectionReceiveWindow;
  protected abstract readonly reader: FrameReader;

  constructor(
    readonly socket: Socket,
    protected readonly limits: FramesLimits,
    protected readonly isClient: boolean,
  ) {
    this.writer = new FrameWriter(socket, this);
    this.guard = new FloodGuard(limits);
    this.liveness = new Liveness(limits);
    this.receiveWindow = new ConnectionReceiveWindow(this.writer);
  }

  abstract fill(): void;
  abstract hasMore(): boolean;
  protected abstract tellDrained(): void;

  /** The socket is closed, and all streams have been told. */
  protected abstract onClosed(): void;

  /** Sends this side's SETTINGS (section 3.4), and begins to read. */
  protected start(settings: readonly (readonly [number, number])[]): void {
    this.writer.writeSettings([
      ...settings,
      [Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW],
      [Setting.MAX_HEADER_LIST_SIZE, this.limits.maxHeaderListBytes],
    ]);
    this.receiveWindow.open();
    listenTo(this.socket, (chunk) => this.onChunk(chunk));
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('end', () => {
      this.lose(ErrorCode.CANCEL);
      // Over TLS on a broken connection Node never tells that the last write is done (nodejs/node#55804), and then
      // does not close the socket by itself.
      this.linger(LINGER_MILLISECONDS);
    });
    this.socket.on('close', () => {
      this.lose(ErrorCode.CANCEL);
      this.onClosed();
    });
  }

  protected onChunk(chunk: Buffer): void {
    this.liveness.heard = true;
    if (!this.dead) this.read(chunk, 0);
  }

  protected read(chunk: Buffer, start: number): void {
    try {
      this.reader.read(chunk, start);
    } catch (error) {
      if (error instanceof ConnectionError) {
        this.fail(error.code, error.message);
        return;
      }
      // An error of a receiver: what it has interrupted can't be taken up again.
      this.fail(ErrorCode.INTERNAL_ERROR, 'internal error');
      throw error;
    }
    if (this.writer.backlog > MAX_BACKLOG && !this.isReadingPaused) {
      this.isReadingPaused = true;
      this.socket.pause();
    }
  }

  /** A connection error (section 5.4.1). */
  fail(code: number, message: string): void {
    if (this.dead) return;
    this.writer.writeGoAway(this.lastPeerStreamId, code, message);
    this.writer.end();
    this.lose(code);
    this.linger();
  }

  /** Ends everything at once. */
  destroy(): void {
    if (!this.dead) this.writer.writeGoAway(this.lastPeerStreamId, ErrorCode.NO_ERROR, '');
    this.writer.end();
    this.lose(ErrorCode.CANCEL);
    this.socket.destroySoon();
    this.linger();
  }

  /** Closes the connection whose work is done. */
  protected closeGracefully(): void {
    if (this.dead) return;
    this.dead = true;
    this.goingAway = true;
    this.reader.stopped = true;
    // "Endpoints SHOULD always send a GOAWAY frame before closing a connection" (section 6.8).
    this.writer.writeGoAway(this.lastPeerStreamId, ErrorCode.NO_ERROR, '');
    this.writer.end();
    this.linger();
  }

  /**
   * Waits for the peer to close the half-closed connection. Its input is still taken, and dropped: closing a
   * socket with unread input would reset it, and the peer might never see what was sent last.
   */
  private linger(flushMilliseconds = MAX_FLUSH_MILLISECONDS): void {
    const { socket } = this;
    if (socket.closed) return;
    socket.resume();
    let timer = setTimeout(destroySocket, flushMilliseconds, socket).unref();
    socket.once('finish', () => {
      clearTimeout(timer);
      timer = setTimeout(destroySocket, LINGER_MILLISECONDS, socket).unref();
    });
    // The timer must not keep what has ended: peers can make, and lose, thousands of connections a second.
    socket.once('close', () => clearTimeout(timer));
  }

  /** Ends all streams: the connection is of no use any more. */
  private lose(code: number): void {
    this.dead = true;
    this.goingAway = true;
    this.reader.stopped = true;
    this.writer.abandon();
    this.receiveWindow.close();
    const streams = this.streams.values();
    this.streams.clear();
    for (const stream of streams) stream.closed = true;
    for (const stream of streams) stream.receiveReset(code, true, this.isClient);
  }

  onFlushed(): void {
    if (this.isReadingPaused && !this.dead && this.writer.backlog < MAX_BACKLOG / 2) {
      this.isReadingPaused = false;
      this.socket.resume();
    }
    this.tellDrained();
  }

  /** Called every so often by the transport's watchdog. */
  check(now: number): void {
    if (this.dead) return;
    const verdict = this.liveness.check(now, this);
    if (verdict === 'ok') return;
    if (verdict === 'ping') this.writer.writePing(0, PROBE, 0);
    else if (verdict === 'settings timeout')
      this.fail(ErrorCode.SETTINGS_TIMEOUT, 'SETTINGS not acknowledged');
    else if (verdict === 'idle') this.closeGracefully();
    else if (verdict === 'too slow') this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too slow');
    else this.destroy();
  }

  /** For the watchdog. */
  get isInsideFieldBlock(): boolean {
    return this.reader.isInsideFieldBlock;
  }
}

/** A PING's content, for the watchdog's. */
const PROBE = Buffer.from('liveness');

function destroySocket(socket: Socket): void {
  socket.destroy();
}
