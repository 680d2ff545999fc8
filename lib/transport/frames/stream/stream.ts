import type { Socket } from 'node:net';
import { type Account, NO_HOLDER } from '../../../port/account.js';
import { ErrorCode } from '../../../port/error-code.js';
import { type HeaderList, headerValue } from '../../../port/headers.js';
import { type IncomingStream, NOBODY, type StreamReceiver, type StreamReset } from '../../../port/stream.js';
import { STREAM_WINDOW } from '../../limits.js';
import type { UnsendableFieldError } from '../hpack/unsendable-field-error.js';
import { deliverLater } from './delivery.js';
import { internalError, warn } from './exceptions.js';
import { NO_LENGTH } from './header-validation.js';
import type { SendingStream } from './sending.js';
import type { StreamOwner } from './stream-owner.js';
import { Delivery, Expected, State } from './stream-state.js';
import { Waiting } from './waiting.js';

/** A stream's window is credited in steps of this size. */
const CREDIT_STEP = STREAM_WINDOW / 4;

/** How many interim responses a request may get: a final one may never follow. */
const MAX_INTERIM_RESPONSES = 16;

/** One stream (RFC 9113 section 5). */
export class FrameStream implements IncomingStream, SendingStream {
  receiver: StreamReceiver = NOBODY;
  holder = NO_HOLDER;

  private interimResponses = 0;
  /** Flow control (section 5.2): what the peer may still send, and what has been consumed of it. */
  private receiveWindow = STREAM_WINDOW;
  private uncredited = 0;

  private delivery: number = Delivery.PAUSED;
  /** What waits for the receiver. */
  private inbox: Waiting | undefined = undefined;
  outbox: Waiting | undefined = undefined;
  openedIn = 0;
  inLine = false;
  before: SendingStream | undefined = undefined;
  behind: SendingStream | undefined = undefined;

  private constructor(
    private readonly owner: StreamOwner,
    /** 0 until HEADERS are sent on a stream that this side opens. */
    public id: number,
    public sendWindow: number,
    private state: number,
    private expected: number,
    /** What is still to come according to `content-length`. */
    private contentLeft: number,
  ) {}

  /** A stream that this side is about to open. */
  static outgoing(owner: StreamOwner, sendWindow: number): FrameStream {
    return new FrameStream(owner, 0, sendWindow, State.IDLE, Expected.RESPONSE, NO_LENGTH);
  }

  /** A stream that the peer has opened, with HEADERS that promise a length. */
  static incoming(
    owner: StreamOwner,
    id: number,
    sendWindow: number,
    ended: boolean,
    length: number,
  ): FrameStream {
    const state = ended ? State.HALF_CLOSED_REMOTE : State.OPEN;
    return new FrameStream(owner, id, sendWindow, state, Expected.CONTENT, length);
  }

  get socket(): Socket {
    return this.owner.socket;
  }

  get account(): Account {
    return this.owner.account;
  }

  get isClosed(): boolean {
    return this.state === State.CLOSED;
  }

  /** END_STREAM has been received: no more HEADERS or DATA may come. */
  get isRemoteClosed(): boolean {
    return this.state === State.HALF_CLOSED_REMOTE;
  }

  get expects(): number {
    return this.expected;
  }

  sendHeaders(headers: HeaderList, endStream: boolean): void {
    if (this.state > State.HALF_CLOSED_REMOTE) return;
    const { outbox } = this;
    if (outbox !== undefined && !outbox.isEmpty) {
      if (!outbox.hasTail) outbox.addTrailers(headers);
      return;
    }
    if (this.state === State.IDLE) {
      this.owner.onStreamOpened(this);
      if (headerValue(headers, ':method') === 'HEAD') this.expected = Expected.RESPONSE_TO_HEAD;
    }
    this.writeHeaders(headers, endStream);
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    if (!this.canSend) return true;
    const { scheduler, writer } = this.owner;
    let rest = chunk;
    if (this.outbox === undefined || this.outbox.isEmpty) {
      const sent = scheduler.send(this, chunk, endStream);
      if (sent === chunk.length) return true;
      if (sent > 0) rest = chunk.subarray(sent);
      this.outbox ??= new Waiting(this.holder.held);
    } else if (this.outbox.hasTail) {
      return true;
    }
    if (endStream) this.outbox.addEnd();
    if (rest.length === 0) return true;
    this.outbox.data.push(rest);
    scheduler.add(this);
    return !this.outbox.mustDrain(writer.blocked);
  }

  reset(code: number): void {
    this.delivery = Delivery.OVER;
    this.dropInbox();
    if (this.state === State.CLOSED) return;
    // Section 8.1: after "sending a complete response", so behind everything that is still queued.
    if (code === ErrorCode.NO_ERROR && this.outbox?.hasEnd) this.outbox.addReset();
    else this.sendReset(code);
  }

  pause(): void {
    if (this.delivery === Delivery.FLOWING) this.delivery = Delivery.PAUSED;
  }

  resume(): void {
    if (this.delivery !== Delivery.PAUSED) return;
    this.delivery = Delivery.FLOWING;
    if (this.holdsAnything) deliverLater(this);
  }

  onEndSent(): void {
    if (this.state === State.HALF_CLOSED_REMOTE) {
      this.close(false);
      return;
    }
    this.state = State.HALF_CLOSED_LOCAL;
    if (this.outbox?.hasReset) this.sendReset(ErrorCode.NO_ERROR);
  }

  onOutboxSent(): void {
    const outbox = this.outbox!;
    const trailers = outbox.takeTrailers();
    if (trailers !== undefined) this.writeHeaders(trailers, true);
    else if (outbox.takeEnd()) this.onEndSent();
  }

  drain(): void {
    if (!this.canSend || this.delivery === Delivery.OVER || this.outbox?.hasTail) return;
    try {
      this.receiver.onDrain();
    } catch (error) {
      this.failByReceiver(error);
    }
  }

  private get canSend(): boolean {
    return this.state === State.OPEN || this.state === State.HALF_CLOSED_REMOTE;
  }

  private writeHeaders(headers: HeaderList, endStream: boolean): void {
    try {
      this.owner.writeHeaders(this.id, headers, endStream);
    } catch (error) {
      const { code, message: text } = error as UnsendableFieldError;
      this.sendReset(code);
      if (this.delivery !== Delivery.OVER) this.resetLater({ code, by: 'local', text, lost: undefined });
      return;
    }
    if (this.state === State.IDLE) this.state = State.OPEN;
    if (endStream) this.onEndSent();
  }

  private sendReset(code: number): void {
    // "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state" (section 6.4).
    if (this.state !== State.IDLE) this.owner.sendReset(this.id, code);
    this.close(true);
  }

  private close(wasReset: boolean): void {
    this.state = State.CLOSED;
    this.dropOutbox();
    if (this.id !== 0) this.owner.onStreamClosed(this, wasReset);
  }

  private dropOutbox(): void {
    if (this.outbox === undefined) return;
    this.outbox.clear();
    this.outbox = undefined;
  }

  // What a receiver throws out of the following is caught by their caller, who then calls `failByReceiver`.

  /** The final response. */
  receiveResponse(headers: HeaderList, endStream: boolean, contentLength: number): void {
    this.expected = Expected.CONTENT;
    this.contentLeft = contentLength;
    if (endStream) this.closeRemote();
    if (this.delivery !== Delivery.OVER) this.receiver.onHeaders(headers, endStream);
  }

  /** An interim response, which is of no use to gRPC. */
  receiveInterimResponse(): void {
    if (++this.interimResponses > MAX_INTERIM_RESPONSES) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many interim responses');
    }
  }

  receiveTrailers(headers: HeaderList): void {
    if (!this.closeRemoteAtEnd()) return;
    if (this.flowsFreely) this.receiver.onHeaders(headers, true);
    else if (this.delivery !== Delivery.OVER) this.inboxToFill().addTrailers(headers);
  }

  /** Takes a DATA frame, as long as it is with its padding, off the window; false if that doesn't hold it. */
  takeWindow(length: number): boolean {
    this.receiveWindow -= length;
    return this.receiveWindow >= 0;
  }

  /** A piece of a DATA frame's data. */
  receiveData(chunk: Buffer): void {
    if (this.contentLeft !== NO_LENGTH) {
      this.contentLeft -= chunk.length;
      // "A request or response is also malformed if the value of a content-length header field does not
      // equal the sum of the DATA frame payload lengths" (section 8.1.1).
      if (this.contentLeft < 0) {
        this.fail(ErrorCode.PROTOCOL_ERROR, 'more DATA than content-length says');
        return;
      }
    }
    if (this.flowsFreely) {
      this.credit(chunk.length);
      this.receiver.onData(chunk);
    } else if (this.delivery !== Delivery.OVER) {
      this.inboxToFill().data.push(chunk);
    }
  }

  /** END_STREAM on a DATA frame. */
  receiveEnd(): void {
    if (!this.closeRemoteAtEnd()) return;
    if (this.flowsFreely) this.receiver.onEnd();
    else if (this.delivery !== Delivery.OVER) this.inboxToFill().addEnd();
  }

  /** The peer has ended the stream before its time: by RST_STREAM, or by a GOAWAY that leaves it out. */
  receiveReset(reset: StreamReset, byGoAway: boolean): void {
    const wasRemoteClosed = this.state === State.HALF_CLOSED_REMOTE;
    this.close(byGoAway);
    if (this.delivery === Delivery.OVER) return;
    // What has been received goes first when that was all: a complete response, or what a server's NO_ERROR
    // says to be one (section 8.1). A client's end of its request is no such thing.
    const comesLast = this.owner.isClient && (wasRemoteClosed || reset.code === ErrorCode.NO_ERROR);
    if (comesLast && this.holdsAnything) this.holdReset(reset);
    else this.tellReset(reset);
  }

  /**
   * The connection is lost, and has let go of the stream. The receiver is told once the caller has returned, behind
   * a response that is complete.
   */
  receiveLoss(loss: StreamReset): void {
    this.state = State.CLOSED;
    this.dropOutbox();
    if (this.delivery === Delivery.OVER) return;
    if (!this.owner.isClient || !this.inbox?.hasEnd) this.resetLater(loss);
    else if (!this.inbox.hasReset) this.holdReset(loss);
  }

  /** Ends the stream with a stream error (section 5.4.2) that the peer has made. */
  fail(code: number, text: string): void {
    if (this.state === State.CLOSED) return;
    this.sendReset(code);
    if (this.delivery !== Delivery.OVER) this.tellReset({ code, by: 'local', text, lost: undefined });
  }

  /** Ends the stream if nothing of what waits for the peer has gone out between so many looks, of which this is one. */
  failIfStalled(looks: number): void {
    const { outbox } = this;
    if (outbox === undefined || outbox.data.length === 0 || ++outbox.looks <= looks) return;
    this.fail(ErrorCode.ENHANCE_YOUR_CALM, 'nothing of it was taken for too long');
  }

  /** Bytes have been consumed: the peer may send as many more, once it is worth a WINDOW_UPDATE. */
  credit(bytes: number): void {
    this.uncredited += bytes;
    if (this.uncredited < CREDIT_STEP) return;
    if (this.state !== State.OPEN && this.state !== State.HALF_CLOSED_LOCAL) return;
    this.owner.writer.writeWindowUpdate(this.id, this.uncredited);
    this.receiveWindow += this.uncredited;
    this.uncredited = 0;
  }

  /** Delivers what is held, until the receiver pauses; a reset does not wait for that. */
  deliver(): void {
    const { inbox } = this;
    if (inbox === undefined) return;
    try {
      this.deliverWhileFlowing(inbox);
      const reset = inbox.nextReset;
      if (reset !== undefined) this.tellReset(reset);
    } catch (error) {
      this.failByReceiver(error);
    }
  }

  private deliverWhileFlowing(inbox: Waiting): void {
    const { data } = inbox;
    while (this.delivery === Delivery.FLOWING && data.length > 0) {
      const piece = data.shift();
      this.credit(piece.length);
      try {
        this.receiver.onData(piece.bytes);
      } finally {
        piece.recycle();
      }
    }
    if (this.delivery !== Delivery.FLOWING) return;
    const trailers = inbox.takeTrailers();
    if (trailers !== undefined) this.receiver.onHeaders(trailers, true);
    else if (inbox.takeEnd()) this.receiver.onEnd();
  }

  /** A receiver has thrown: that is the end of its stream, and of nothing else. */
  failByReceiver(error: unknown): void {
    warn(error);
    if (this.state !== State.CLOSED) this.sendReset(ErrorCode.INTERNAL_ERROR);
    if (this.delivery !== Delivery.OVER)
      this.tellReset(internalError('an exception of what takes the stream'));
  }

  private tellReset(reset: StreamReset): void {
    this.delivery = Delivery.OVER;
    this.dropInbox();
    try {
      this.receiver.onReset(reset);
    } catch (error) {
      warn(error);
    }
  }

  private resetLater(reset: StreamReset): void {
    this.dropInbox();
    this.inboxToFill().addReset(reset);
    deliverLater(this);
  }

  private holdReset(reset: StreamReset): void {
    this.inboxToFill().addReset(reset);
    this.owner.onResetHeld(this, true);
  }

  private inboxToFill(): Waiting {
    this.inbox ??= new Waiting(this.holder.held);
    return this.inbox;
  }

  private get flowsFreely(): boolean {
    return this.delivery === Delivery.FLOWING && !this.holdsAnything;
  }

  private get holdsAnything(): boolean {
    return this.inbox !== undefined && !this.inbox.isEmpty;
  }

  /** The state changes before the receiver is told, so that there is room for a new stream when it is. */
  private closeRemote(): void {
    if (this.state === State.HALF_CLOSED_LOCAL) this.close(false);
    else this.state = State.HALF_CLOSED_REMOTE;
  }

  /** False if the stream has failed, as DATA is missing. */
  private closeRemoteAtEnd(): boolean {
    if (this.contentLeft > 0) {
      this.fail(ErrorCode.PROTOCOL_ERROR, 'less DATA than content-length says');
      return false;
    }
    this.closeRemote();
    return true;
  }

  private dropInbox(): void {
    if (this.inbox === undefined) return;
    if (this.inbox.hasReset) this.owner.onResetHeld(this, false);
    this.inbox.clear();
    this.inbox = undefined;
  }
}
