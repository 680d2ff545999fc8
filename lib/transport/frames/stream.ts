import type { Socket } from 'node:net';
import type { HeaderList } from '../../grpc/headers.js';
import type { IncomingStream, StreamReceiver } from '../port.js';
import { ChunkQueue } from './chunk-queue.js';
import type { Connection } from './connection.js';
import { STREAM_CREDIT_STEP, STREAM_WINDOW } from './flow-control.js';
import { ErrorCode } from './frame.js';
import { NO_LENGTH } from './header-validation.js';

/** How much of one stream may wait for the peer's window or the socket before `sendData` says to hold back. */
export const HIGH_WATER_MARK = 4096;

/** Takes what comes before the stream's user has set a receiver, or after the stream's user is done. */
const NOBODY: StreamReceiver = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onReset() {},
  onDrain() {},
};

const NOT_RESET = -1;

/**
 * One stream (RFC 9113 section 5). Its state is told by `localClosed` and `remoteClosed`: open, half-closed
 * either way, and `closed` once it has left the connection's table; it is idle as long as its `id` is 0.
 */
export class FrameStream implements IncomingStream {
  receiver: StreamReceiver = NOBODY;

  /** END_STREAM has been sent. */
  localClosed = false;
  /** END_STREAM has been received. */
  remoteClosed = false;
  /** The connection has no part in it any more. What has been received may still wait for its receiver. */
  closed = false;

  /** The peer's HEADERS (a response's: the final ones) have been received. */
  headersReceived = false;
  /** How many interim responses have been received. */
  interimResponses = 0;
  /** The request's method is HEAD: the response's `content-length` says nothing (section 8.1.1). */
  isHead = false;
  /** What is still to come according to `content-length`. */
  contentLeft = NO_LENGTH;

  /** Flow control (section 5.2): what the peer may still send, and what has been consumed of it. */
  receiveWindow = STREAM_WINDOW;
  private uncredited = 0;
  /** What may still be sent; negative after the peer has lowered SETTINGS_INITIAL_WINDOW_SIZE. */
  sendWindow: number;

  private paused = true;
  /** Nothing is delivered any more: the receiver was reset, or has reset. */
  private done = false;
  private inbox: ChunkQueue | undefined = undefined;
  private endHeld = false;
  private trailersHeld: HeaderList | undefined = undefined;
  private resetHeld = NOT_RESET;
  private resetHeldIsLoss = false;
  private delivering = false;

  /** DATA that waits for the peer's windows or the socket, and what follows it. */
  outbox: ChunkQueue | undefined = undefined;
  endQueued = false;
  trailersQueued: HeaderList | undefined = undefined;
  awaitsDrain = false;
  private resetAfterEnd = false;

  /** The scheduler's list of streams that can send. */
  nextReady: FrameStream | undefined = undefined;
  isReady = false;

  constructor(
    private readonly connection: Connection,
    /** 0 until HEADERS are sent on a stream that this side opens. */
    public id: number,
  ) {
    this.sendWindow = connection.peer.initialWindowSize;
  }

  get socket(): Socket {
    return this.connection.socket;
  }

  // Sending

  sendHeaders(headers: HeaderList, endStream: boolean): void {
    if (this.closed || this.endQueued) return;
    if (this.id === 0) this.connection.openStream(this, headers);
    if (endStream) this.endQueued = true;
    if (this.outbox !== undefined && this.outbox.length > 0) {
      this.trailersQueued = headers;
      return;
    }
    this.connection.writeHeaders(this.id, headers, endStream);
    if (endStream) this.onEndSent();
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    if (this.closed || this.endQueued) return true;
    if (endStream) this.endQueued = true;
    const scheduler = this.connection.scheduler;
    const sent = this.outbox === undefined || this.outbox.length === 0 ? scheduler.send(this, chunk) : 0;
    if (sent === chunk.length) return true;
    this.outbox ??= new ChunkQueue();
    this.outbox.push(sent === 0 ? chunk : chunk.subarray(sent));
    scheduler.add(this);
    if (this.outbox.length < HIGH_WATER_MARK && !this.connection.writer.blocked) return true;
    this.awaitsDrain = true;
    return false;
  }

  reset(code: number): void {
    this.done = true;
    this.dropInbox();
    if (this.closed) return;
    if (this.id === 0) {
      this.closed = true;
      return;
    }
    if (code === ErrorCode.NO_ERROR && this.endQueued) {
      // Section 8.1: after "sending a complete response", so behind everything that is still queued.
      if (!this.localClosed) this.resetAfterEnd = true;
      else this.sendReset(code);
      return;
    }
    this.sendReset(code);
  }

  /** END_STREAM has been put into the output. */
  onEndSent(): void {
    this.localClosed = true;
    if (this.remoteClosed) this.connection.onStreamClosed(this, false);
    else if (this.resetAfterEnd) this.sendReset(ErrorCode.NO_ERROR);
  }

  /** There is room in the outbox again. */
  drain(): void {
    if (!this.awaitsDrain || this.closed || this.done) return;
    this.awaitsDrain = false;
    if (!this.endQueued) this.receiver.onDrain();
  }

  private sendReset(code: number): void {
    this.connection.writer.writeResetStream(this.id, code);
    this.dropOutbox();
    this.connection.onStreamClosed(this, true);
  }

  private dropOutbox(): void {
    this.outbox?.clear();
    this.outbox = undefined;
    this.trailersQueued = undefined;
    this.awaitsDrain = false;
  }

  // Receiving

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    if (this.holdsAnything()) deliverLater(this);
  }

  /** HEADERS that are not held back: a response's. */
  receiveHeaders(headers: HeaderList, endStream: boolean): void {
    this.headersReceived = true;
    if (endStream) this.closeRemote();
    if (!this.done) this.receiver.onHeaders(headers, endStream);
  }

  receiveTrailers(headers: HeaderList): void {
    if (!this.checkContentComplete()) return;
    this.closeRemote();
    if (this.done) return;
    if (this.paused || this.holdsAnything()) this.trailersHeld = headers;
    else this.receiver.onHeaders(headers, true);
  }

  /** A piece of a DATA frame, whose length has been taken off the window. */
  receiveData(chunk: Buffer): void {
    if (this.contentLeft !== NO_LENGTH) {
      this.contentLeft -= chunk.length;
      // "A request or response is also malformed if the value of a content-length header field does not
      // equal the sum of the DATA frame payload lengths" (section 8.1.1).
      if (this.contentLeft < 0) {
        this.fail(ErrorCode.PROTOCOL_ERROR);
        return;
      }
    }
    if (this.done) return;
    if (this.paused || (this.inbox !== undefined && this.inbox.length > 0)) {
      this.inbox ??= new ChunkQueue();
      this.inbox.push(chunk);
      return;
    }
    this.credit(chunk.length);
    this.receiver.onData(chunk);
  }

  /** END_STREAM on a DATA frame. */
  receiveEnd(): void {
    if (!this.checkContentComplete()) return;
    this.closeRemote();
    if (this.done) return;
    if (this.paused || this.holdsAnything()) this.endHeld = true;
    else this.receiver.onEnd();
  }

  /** RST_STREAM has been received, or the connection lost: the stream has left the connection's table. */
  receiveReset(code: number, connectionLost: boolean, isClient: boolean): void {
    this.dropOutbox();
    if (this.done) return;
    // What has been received goes first when that was all: a complete response before NO_ERROR, or before
    // the loss of the connection that it came on. A client's end of its request is no such thing.
    const complete = code === ErrorCode.NO_ERROR || (isClient && this.remoteClosed);
    if (complete && (this.endHeld || this.trailersHeld !== undefined || (this.inbox?.length ?? 0) > 0)) {
      this.resetHeld = code;
      this.resetHeldIsLoss = connectionLost;
      return;
    }
    this.done = true;
    this.dropInbox();
    this.receiver.onReset(code, connectionLost);
  }

  /** Ends the stream with a stream error (section 5.4.2) that this side has found. */
  fail(code: number): void {
    if (this.closed) return;
    this.sendReset(code);
    this.dropInbox();
    if (!this.done) {
      this.done = true;
      this.receiver.onReset(code, false);
    }
    this.connection.guard.onStreamError();
  }

  /** Bytes have been consumed: the peer may send as many more, once it is worth a WINDOW_UPDATE. */
  credit(bytes: number): void {
    this.uncredited += bytes;
    if (this.uncredited < STREAM_CREDIT_STEP || this.remoteClosed || this.closed) return;
    this.connection.writer.writeWindowUpdate(this.id, this.uncredited);
    this.receiveWindow += this.uncredited;
    this.uncredited = 0;
  }

  /** Delivers what is held, until the receiver pauses. */
  deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    const inbox = this.inbox;
    try {
      while (!this.paused && !this.done && inbox !== undefined && inbox.length > 0) {
        const piece = inbox.shift();
        this.credit(piece.length);
        this.receiver.onData(piece.bytes);
        piece.recycle();
      }
    } finally {
      this.delivering = false;
    }
    if (this.paused || this.done) return;
    if (this.trailersHeld !== undefined) {
      const trailers = this.trailersHeld;
      this.trailersHeld = undefined;
      this.receiver.onHeaders(trailers, true);
    } else if (this.endHeld) {
      this.endHeld = false;
      this.receiver.onEnd();
    }
    if (this.resetHeld !== NOT_RESET && !this.done) {
      this.done = true;
      // A stream on which both sides had sent all has simply ended.
      if (!this.localClosed || !this.remoteClosed)
        this.receiver.onReset(this.resetHeld, this.resetHeldIsLoss);
    }
  }

  private holdsAnything(): boolean {
    return (
      (this.inbox !== undefined && this.inbox.length > 0) ||
      this.endHeld ||
      this.trailersHeld !== undefined ||
      this.resetHeld !== NOT_RESET
    );
  }

  private checkContentComplete(): boolean {
    if (this.contentLeft <= 0) return true;
    this.fail(ErrorCode.PROTOCOL_ERROR);
    return false;
  }

  /** The state changes before the receiver is told, so that there is room for a new stream when it is. */
  private closeRemote(): void {
    this.remoteClosed = true;
    if (this.localClosed) this.connection.onStreamClosed(this, false);
  }

  private dropInbox(): void {
    this.inbox?.clear();
    this.inbox = undefined;
    this.endHeld = false;
    this.trailersHeld = undefined;
    this.resetHeld = NOT_RESET;
  }
}

/** Streams that have been resumed: delivery begins when the caller of `resume` has returned. */
let resumed: FrameStream[] = [];

function deliverLater(stream: FrameStream): void {
  if (resumed.push(stream) === 1) process.nextTick(deliverResumed);
}

function deliverResumed(): void {
  const streams = resumed;
  resumed = [];
  let next = 0;
  try {
    while (next < streams.length) streams[next++]!.deliver();
  } finally {
    // A receiver has thrown: that is no reason for other streams to stand still.
    if (next < streams.length) {
      resumed = streams.slice(next).concat(resumed);
      process.nextTick(deliverResumed);
    }
  }
}
