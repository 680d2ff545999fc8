import type { Http2Stream } from 'node:http2';
import { NO_HOLDER } from '../../port/account.js';
import { ErrorCode } from '../../port/error-code.js';
import { type HeaderList, headerListSize } from '../../port/headers.js';
import { keep, keepLong } from '../../port/lent-memory.js';
import { NOBODY, type Stream, type StreamReceiver, type StreamReset } from '../../port/stream.js';
import { type Adapter, adapt } from './adapted-stream.js';
import type { Carrier, WaitingStream } from './carrier.js';
import { resetAfterEnd } from './end-then-reset.js';
import { sendFields } from './fields.js';
import { StreamBacklog } from './stream-backlog.js';
import { closeWith, destroyLater, hasEndStream, neverSent, whyClosed } from './stream-resets.js';

/** The most that is written at a time. */
const MAX_WRITE = 65536;

/**
 * An `Http2Stream` under the port.
 */
export abstract class NodeStream<S extends Http2Stream> implements Stream, WaitingStream, Adapter {
  receiver: StreamReceiver = NOBODY;
  holder = NO_HOLDER;
  protected node: S | undefined;
  protected readonly carrier: Carrier;
  protected trailers: HeaderList | undefined;
  protected remoteEnded = false;
  protected localEnded = false;
  protected isPaused = true;
  /** Nothing more is delivered: it has ended, or was reset by this side. */
  protected isDone = false;
  protected receivedTrailers: HeaderList | undefined;
  /** The session was lost before the stream's HEADERS were sent, for certain. */
  protected isUnsent = false;
  /** The error that ended the node stream. */
  #failure: NodeJS.ErrnoException | undefined;
  /** It has been resumed once: only then are there listeners, and something to pause. */
  #flows = false;
  readonly #backlog = new StreamBacklog();
  #hasLeft = false;

  constructor(carrier: Carrier) {
    this.carrier = carrier;
    carrier.streamCount++;
    carrier.openedCount++;
  }

  abstract sendHeaders(headers: HeaderList, endStream: boolean): void;

  sendData(chunk: Buffer, endStream: boolean): boolean {
    const node = this.node;
    if (node === undefined || this.localEnded || node.destroyed || node.closed) return true;
    if (this.isDone) return true;
    this.carrier.hasSentContent = true;
    // What waits behind something may wait for long.
    const data = node.writableLength > 0 ? keepLong(chunk) : keep(chunk);
    // In pieces: one that is long is not known to move before all of it is out.
    let hasRoom = true;
    for (let start = 0; start < data.length; start += MAX_WRITE) {
      hasRoom = node.write(data.length <= MAX_WRITE ? data : data.subarray(start, start + MAX_WRITE));
    }
    if (endStream) {
      this.localEnded = true;
      node.end();
    }
    this.#backlog.give(data.length);
    if (!this.#hasLeft) {
      // Until it has been seen to go out: little may wait for a window as well as much.
      this.carrier.waiting.add(this);
      // At once: of a destination that nobody waits for, more may be coming before the next look.
      if (!hasRoom) this.#backlog.count(node, this.holder);
    }
    return hasRoom || endStream;
  }

  reset(code: number): void {
    // Also after a failure that the receiver has not been told of yet.
    this.receiver = NOBODY;
    if (this.isDone) {
      // Its answer is complete, and still waits.
      if (code !== ErrorCode.NO_ERROR && this.node !== undefined) this.#resetSoon(this.node, code);
      return;
    }
    this.isDone = true;
    const node = this.node;
    if (node === undefined || node.destroyed) {
      if (node === undefined) this.endUnopened();
      return;
    }
    if (this.remoteEnded && this.localEnded && node.writableFinished) return;
    if (code === ErrorCode.NO_ERROR && this.localEnded) {
      // What has come in is read and dropped: the stream closes only then. But what comes while the answer is still
      // on its way out stays with the client.
      if (this.remoteEnded) {
        node.resume();
      } else {
        this.pause();
        setImmediate(resetAfterEnd, node, this.carrier.stallTimeout);
      }
    } else {
      // Not at once: most resets are made while the session receives. On Node 20, nghttp2 that is made to send then
      // can write empty DATA frames into memory without end (two streams refused in one packet, say); on Node 22 and
      // 26 it asks the stream, destroyed by then, for its trailers, and the process aborts.
      this.#resetSoon(node, code);
    }
  }

  #resetSoon(node: S, code: number): void {
    setImmediate(() => this.#sendReset(node, code));
  }

  #sendReset(node: S, code: number): void {
    if (node.destroyed) return;
    const { owner } = this.carrier;
    // What the peer has closed is not told it.
    if (node.closed || owner.takeReset()) {
      node.resume();
      closeWith(node, code);
    } else {
      // Its window closes, as nobody reads it any more.
      node.pause();
      owner.onResetWithheld(node, code);
      this.#leaveCarrier();
    }
  }

  pause(): void {
    this.isPaused = true;
    if (!this.#flows) return;
    this.node!.pause();
    this.wait();
  }

  resume(): void {
    this.isPaused = false;
    if (this.node === undefined) return;
    if (this.#flows) {
      this.node.resume();
      return;
    }
    this.#flows = true;
    // It starts the flow. `emit` hands the chunks on, but `data` is an event that a stream asks after listeners for.
    this.node.on('data', ignore);
  }

  check(now: number): void {
    const { node } = this;
    // Of what has left, nothing may be charged any more: nobody would release it.
    if (node === undefined || this.#hasLeft) return;
    this.#backlog.count(node, this.holder);
    if (this.#backlog.isStuck(node, now, this.carrier.stallTimeout)) this.#endStalled(node);
    if (this.#backlog.bytes > 0 || this.isPaused) return;
    this.carrier.waiting.delete(this);
    this.#backlog.rest();
  }

  onLosing(): void {}

  /** It is looked at every so often, until it has nothing that waits, or has left. */
  protected wait(): void {
    if (!this.#hasLeft) this.carrier.waiting.add(this);
  }

  #endStalled(node: S): void {
    const code = ErrorCode.ENHANCE_YOUR_CALM;
    // Who used it may be done, and the rest of the answer still be waiting.
    if (this.isDone) this.#resetSoon(node, code);
    else this.endSoon({ code, by: 'local', text: 'nothing of it was taken for too long', lost: undefined });
  }

  /** Whether a header list can be sent: the peer takes one as long as this. Else the stream ends. */
  protected takesHeaders(headers: HeaderList): boolean {
    this.carrier.hasSentContent = true;
    const size = headerListSize(headers);
    const most = this.carrier.maxHeaderListBytes;
    if (size > most) {
      const text = `a header list of ${size} bytes, where the peer takes ${most}`;
      this.endSoon({ code: ErrorCode.ENHANCE_YOUR_CALM, by: 'local', text, lost: undefined });
      return false;
    }
    // It goes to nghttp2, which keeps it until it can be sent.
    if (this.node !== undefined && !this.#hasLeft && this.#backlog.giveFields(size)) {
      this.carrier.waiting.add(this);
      this.#backlog.count(this.node, this.holder);
    }
    return true;
  }

  protected adopt(node: S): void {
    this.node = node;
    adapt(node, this);
  }

  /** Ends the stream for what this side cannot do: INTERNAL_ERROR to the peer; the receiver is told in a moment. */
  protected fail(text: string): void {
    this.endSoon({ code: ErrorCode.INTERNAL_ERROR, by: 'local', text, lost: undefined });
  }

  /** Ends a request that its session did not take any more. */
  protected refuse(): void {
    this.endSoon(neverSent(undefined));
  }

  /** Ends the stream on both sides, for a reason of this side; the receiver is told in a moment. */
  endSoon(reset: StreamReset): void {
    if (this.isDone) return;
    this.isDone = true;
    setImmediate(() => {
      // Who has reset it meanwhile isn't told.
      this.#tellReset(reset);
      if (this.node === undefined) this.#leaveCarrier();
      else this.#sendReset(this.node, reset.code);
    });
  }

  /** For a stream that has no node stream, and never will. */
  protected endUnopened(): void {
    setImmediate(() => this.#leaveCarrier());
  }

  data(chunk: Buffer): void {
    this.carrier.heard = true;
    this.receiver.onData(chunk);
  }

  /** HEADERS of the response; only streams that this side opened get them. */
  response(_headers: HeaderList, _endStream: boolean): void {}

  end(): void {
    if (this.remoteEnded || this.isDone) return;
    const node = this.node!;
    const trailers = this.receivedTrailers;
    if (trailers !== undefined) {
      this.remoteEnded = true;
      this.receiver.onHeaders(trailers, true);
    } else if (hasEndStream(node) && !this.carrier.session.destroyed) {
      this.remoteEnded = true;
      this.receiver.onEnd();
    } else {
      // A reset or a lost connection also show as `end`: `close` tells which. It would not come while something is left
      // to be written.
      destroyLater(node);
    }
  }

  /** It has been reset while this side was still sending. */
  aborted(): void {}

  /** `trailers` fires before paused data has been read, so they are held until `end`. */
  holdTrailers(trailers: HeaderList): void {
    this.carrier.heard = true;
    this.receivedTrailers = trailers;
  }

  wantTrailers(): void {
    const node = this.node!;
    if (node.destroyed || node.closed) return;
    try {
      sendFields(this.trailers ?? [], 'trailers', (fields) => node.sendTrailers(fields));
    } catch (error) {
      // Its user may be done with it, and have asked for a reset behind the trailers: then nobody else ends it.
      if (this.isDone) setImmediate(closeWith, node, ErrorCode.INTERNAL_ERROR);
      else this.fail(`the trailers cannot be sent: ${(error as Error).message}`);
    }
  }

  drain(): void {
    const { node } = this;
    // A stream of somebody else's session is looked at by nobody.
    if (this.#backlog.bytes > 0 && node !== undefined) this.#backlog.count(node, this.holder);
    this.receiver.onDrain();
  }

  error(error: NodeJS.ErrnoException): void {
    this.#failure = error;
    // A session that fails tells its streams first.
    const { carrier, node } = this;
    if (carrier.session.destroyed && node?.id !== undefined) carrier.onError(error);
  }

  close(): void {
    try {
      if (!this.isDone && !(this.remoteEnded && this.localEnded) && !this.rescue()) {
        this.tellClose();
      }
    } finally {
      this.isDone = true;
      this.#leaveCarrier();
    }
  }

  /** What its user threw while it was told of something ends this stream alone. */
  onThrown(error: unknown): void {
    process.emitWarning(error instanceof Error ? error : new Error(String(error)));
    this.fail('an exception in this process');
  }

  /** Goes on delivering what has been received, although the node stream is closed; false if there is nothing. */
  protected rescue(): boolean {
    return false;
  }

  /** Tells why the node stream has closed before its time. */
  protected tellClose(): void {
    this.isDone = true;
    this.#tellReset(whyClosed(this.node!, this.carrier, this.#failure, this.isUnsent));
  }

  #tellReset(reset: StreamReset): void {
    const { receiver } = this;
    this.receiver = NOBODY;
    try {
      receiver.onReset(reset);
    } catch (error) {
      process.emitWarning(error as Error);
    }
  }

  #leaveCarrier(): void {
    this.#backlog.clear(this.holder);
    this.carrier.waiting.delete(this);
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.carrier.streamCount--;
    this.carrier.owner.onStreamEnded(this);
  }
}

function ignore(): void {}
