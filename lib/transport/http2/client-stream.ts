import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { HeaderList } from '../../port/headers.js';
import { sendFields } from './fields.js';
import { NodeStream } from './stream.js';

/** A stream that this side opens: `sendHeaders` opens it. */
export class NodeClientStream extends NodeStream<ClientHttp2Stream> {
  #responded = false;
  /** DATA that Node gave before the response headers. */
  #early: Buffer | undefined;
  /** What was left in the node stream when its connection went. */
  #rest: Buffer[] | undefined;

  sendHeaders(headers: HeaderList, endStream: boolean): void {
    if (this.isDone || this.localEnded) return;
    if (endStream) this.localEnded = true;
    if (this.node !== undefined) {
      this.fail('requests with trailers cannot be sent');
      return;
    }
    if (!this.takesHeaders(headers)) return;
    const session = this.carrier.session as ClientHttp2Session;
    try {
      this.adopt(sendFields(headers, 'request', (fields) => session.request(fields, { endStream })));
      this.wait();
    } catch (error) {
      // On later versions of Node, the stream tells of it by its `error`.
      if (session.destroyed || session.closed) this.refuse();
      else this.fail(`the request headers cannot be sent: ${(error as Error).message}`);
    }
  }

  override reset(code: number): void {
    // From now on all is read and dropped.
    this.#responded = true;
    this.#early = undefined;
    this.#rest = undefined;
    super.reset(code);
  }

  override resume(): void {
    if (this.#rest !== undefined) {
      this.isPaused = false;
      setImmediate(() => this.#deliverRest());
    } else if (this.#early === undefined) {
      super.resume();
    } else {
      this.isPaused = false;
    }
  }

  override error(error: NodeJS.ErrnoException): void {
    super.error(error);
    if (error.code === 'ERR_HTTP2_OUT_OF_STREAMS') this.carrier.owner.onOutOfStreams();
  }

  /** nghttp2 knows a stream from when it sends its HEADERS on; what it sends is written to the socket in the same turn. */
  override onLosing(): void {
    const { node } = this;
    if (node === undefined || node.closed || node.destroyed || this.#responded) return;
    this.isUnsent = node.state.state === http2.constants.NGHTTP2_STREAM_STATE_IDLE;
  }

  /**
   * DATA can come before the headers: over TLS, Node puts DATA off while it writes, and then takes that and all behind
   * it in one tick, `response` waits for the next one, and `data` does not. What follows waits in the stream.
   */
  override data(chunk: Buffer): void {
    if (this.#responded) {
      super.data(chunk);
    } else {
      this.#early = chunk;
      const { isPaused } = this;
      super.pause();
      this.isPaused = isPaused;
    }
  }

  override response(headers: HeaderList, endStream: boolean): void {
    this.carrier.heard = true;
    this.carrier.hasAnswered = true;
    this.#responded = true;
    if (endStream) {
      this.remoteEnded = true;
      this.node!.resume();
    }
    this.receiver.onHeaders(headers, endStream);
    const early = this.#early;
    if (early === undefined) return;
    this.#early = undefined;
    this.receiver.onData(early);
    if (!this.isPaused) super.resume();
  }

  /**
   * The peer has sent its whole answer, and gone: what a slow user has not taken yet is still in the node stream
   * (NODE-HTTP2.md, "The end of a connection").
   */
  protected override rescue(): boolean {
    const node = this.node!;
    if (this.receivedTrailers === undefined || this.remoteEnded || !this.carrier.session.destroyed)
      return false;
    this.#rest = [];
    for (let chunk: Buffer | null = node.read(); chunk !== null; chunk = node.read()) this.#rest.push(chunk);
    if (!this.isPaused) this.#deliverRest();
    return true;
  }

  #deliverRest(): void {
    try {
      while (this.#rest !== undefined && !this.isPaused) {
        const chunk = this.#rest.shift();
        if (chunk === undefined) this.#endRest();
        else this.receiver.onData(chunk);
      }
    } catch (error) {
      this.#rest = undefined;
      process.emitWarning(error as Error);
      this.tellClose();
    }
  }

  #endRest(): void {
    this.#rest = undefined;
    this.receiver.onHeaders(this.receivedTrailers!, true);
    if (!this.localEnded) this.tellClose();
  }
}
