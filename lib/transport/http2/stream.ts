import { EventEmitter } from 'node:events';
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2Session,
  type Http2Stream,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { HeaderList } from '../../grpc/headers.js';
import { keep } from '../lent-memory.js';
import type { IncomingStream, Stream, StreamReceiver } from '../port.js';
import { sendAsList, sendAsObject, toHeaderList } from './fields.js';

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;
const END_STREAM = http2.constants.NGHTTP2_FLAG_END_STREAM;

/** How long to wait before asking again whether nghttp2 has sent END_STREAM; see `resetAfterEnd`. */
const END_STREAM_POLL_MILLISECONDS = 20;

const adapterOf = Symbol('adapter');
type Adapted<S extends Http2Stream> = S & { [adapterOf]: NodeStream<S> };

/** What the streams of a session know about it, and tell about it. */
export interface SessionState {
  /** The last stream id of the GOAWAY that the peer sent, if it sent one. */
  goawayLastStreamId: number | undefined;
  /** The peer refused a stream. */
  refused: boolean;
  /** Set whenever a frame of a stream comes in; cleared by who looks. */
  heard: boolean;
}

export function newSessionState(): SessionState {
  return { goawayLastStreamId: undefined, refused: false, heard: false };
}

/** A proxy adds no `date` of its own; the option is missing from the types. */
const withoutDate: object = { sendDate: false };

const nobody: StreamReceiver = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onReset() {},
  onDrain() {},
};

/**
 * An `Http2Stream` under the port. What the stream emits goes to functions of the module, shared by all streams, which
 * find their adapter by a symbol on the stream.
 */
abstract class NodeStream<S extends Http2Stream> implements Stream {
  receiver: StreamReceiver = nobody;
  protected node: S | undefined;
  protected readonly state: SessionState;
  protected readonly session: Http2Session;
  protected trailers: HeaderList | undefined;
  protected remoteEnded = false;
  protected localEnded = false;
  /** The code of the error that ended the node stream. */
  failure: string | undefined;
  #receivedTrailers: HeaderList | undefined;
  /** It has been resumed once: only then are there listeners, and something to pause. */
  #flows = false;
  #done = false;

  constructor(session: Http2Session, state: SessionState) {
    this.session = session;
    this.state = state;
  }

  abstract sendHeaders(headers: HeaderList, endStream: boolean): void;

  sendData(chunk: Buffer, endStream: boolean): boolean {
    const node = this.node!;
    if (node.destroyed || node.closed) return true;
    if (endStream) {
      this.localEnded = true;
      if (chunk.length > 0) node.end(keep(chunk));
      else node.end();
      return true;
    }
    return node.write(keep(chunk));
  }

  reset(code: number): void {
    if (this.#done) return;
    this.#done = true;
    this.receiver = nobody;
    const node = this.node;
    if (node === undefined || node.destroyed) return;
    if (this.remoteEnded && this.localEnded && node.writableFinished) return;
    // END_STREAM and RST_STREAM(NO_ERROR) wait until everything has been read (FINDINGS): read it.
    node.resume();
    if (code === NGHTTP2_NO_ERROR && this.localEnded) {
      if (!this.remoteEnded) setImmediate(resetAfterEnd, node);
    } else {
      // Not at once: most resets are made while the session receives. On Node 20, nghttp2 that is made to send then
      // can write empty DATA frames into memory without end (two streams refused in one packet, say); on Node 22 and 26 it asks the stream, destroyed by then,
      // for its trailers, and the process aborts.
      setImmediate(closeWith, node, code);
    }
  }

  pause(): void {
    if (this.#flows) this.node!.pause();
  }

  resume(): void {
    if (this.node === undefined) return;
    if (this.#flows) {
      this.node.resume();
      return;
    }
    this.#flows = true;
    // It starts the flow. `emit` hands the chunks on, but `data` is an event that a stream asks after listeners for.
    this.node.on('data', ignore);
  }

  protected adopt(node: S): void {
    this.node = node;
    (node as Adapted<S>)[adapterOf] = this;
    node.emit = emitToAdapter as typeof node.emit;
  }

  data(chunk: Buffer): void {
    this.state.heard = true;
    this.receiver.onData(chunk);
  }

  end(): void {
    if (this.remoteEnded) return;
    const node = this.node!;
    const trailers = this.#receivedTrailers;
    if (trailers !== undefined) {
      this.remoteEnded = true;
      this.receiver.onHeaders(trailers, true);
    } else if (!node.aborted && node.rstCode === NGHTTP2_NO_ERROR && !this.session.destroyed) {
      this.remoteEnded = true;
      this.receiver.onEnd();
    }
    // Else it is a reset or a lost connection, which also show as `end` (FINDINGS): `close` tells which.
  }

  /** `trailers` fires before paused data has been read (FINDINGS), so they are held until `end`. */
  holdTrailers(trailers: HeaderList): void {
    this.state.heard = true;
    this.#receivedTrailers = trailers;
  }

  wantTrailers(): void {
    const node = this.node!;
    if (node.destroyed || node.closed) return;
    sendAsObject(this.trailers ?? [], (fields) => node.sendTrailers(fields));
  }

  drain(): void {
    this.receiver.onDrain();
  }

  close(): void {
    if (this.#done) return;
    this.#done = true;
    if (this.remoteEnded && this.localEnded) return;
    const node = this.node!;
    let code = node.rstCode ?? NGHTTP2_CANCEL;
    // A session that failed gives its streams its own error and some code; a reset has the stream's own.
    const failed = this.failure !== undefined && this.failure !== 'ERR_HTTP2_STREAM_ERROR';
    let connectionLost =
      this.session.destroyed && (failed || code === NGHTTP2_NO_ERROR || code === NGHTTP2_CANCEL);
    const last = this.state.goawayLastStreamId;
    if (last !== undefined && node.id !== undefined && this.session.destroyed) {
      // Node destroys a session at GOAWAY with an error code, and gives its streams that code.
      connectionLost = node.id <= last;
      if (!connectionLost) code = NGHTTP2_REFUSED_STREAM;
    }
    if (code === NGHTTP2_REFUSED_STREAM) this.state.refused = true;
    this.receiver.onReset(code, connectionLost);
    this.receiver = nobody;
  }
}

/** A stream that a client opened on a session of ours. */
export class NodeServerStream extends NodeStream<ServerHttp2Stream> implements IncomingStream {
  constructor(node: ServerHttp2Stream, session: Http2Session, state: SessionState, ended: boolean) {
    super(session, state);
    this.remoteEnded = ended;
    this.adopt(node);
    // The stream closes only once its end has been read.
    if (ended) node.resume();
  }

  get socket(): Socket {
    return this.session.socket;
  }

  sendHeaders(headers: HeaderList, endStream: boolean): void {
    const node = this.node!;
    if (node.destroyed || node.closed) return;
    if (endStream) this.localEnded = true;
    if (!node.headersSent) {
      sendAsList(headers, (fields) => {
        node.respond(fields, { endStream, waitForTrailers: !endStream, ...withoutDate });
      });
    } else {
      this.trailers = headers;
      node.end();
    }
  }
}

/** A stream that this side opens: `sendHeaders` opens it. */
export class NodeClientStream extends NodeStream<ClientHttp2Stream> {
  declare protected readonly session: ClientHttp2Session;
  #responded = false;
  #paused = false;
  /** DATA that Node gave before the response headers. */
  #early: Buffer | undefined;

  sendHeaders(headers: HeaderList, endStream: boolean): void {
    if (endStream) this.localEnded = true;
    const node = sendAsList(headers, (fields) => this.session.request(fields, { endStream }));
    this.adopt(node);
  }

  override reset(code: number): void {
    // From now on all is read and dropped.
    this.#responded = true;
    this.#early = undefined;
    super.reset(code);
  }

  override pause(): void {
    this.#paused = true;
    super.pause();
  }

  override resume(): void {
    this.#paused = false;
    if (this.#early === undefined) super.resume();
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
      super.pause();
    }
  }

  response(headers: HeaderList, endStream: boolean): void {
    this.state.heard = true;
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
    if (!this.#paused) super.resume();
  }
}

/**
 * RST_STREAM(NO_ERROR) once END_STREAM is out. nghttp2 drops trailers that are queued when a reset is submitted,
 * and Node has no event for their being sent: `state` tells. They are, nearly always, at the first look.
 */
function resetAfterEnd(node: Http2Stream): void {
  if (node.destroyed || node.closed) return;
  if (node.state.localClose === 1) node.close(NGHTTP2_NO_ERROR);
  else setTimeout(resetAfterEnd, END_STREAM_POLL_MILLISECONDS, node).unref();
}

/**
 * `close(code)` ends the stream's writable side first, and so sends END_STREAM before RST_STREAM: a backend may
 * commit half a request (FINDINGS, "a cancel can look like a normal end"). `waitForTrailers` keeps it from that,
 * too, but costs every call more than it costs this one.
 */
function closeWith(node: Http2Stream, code: number): void {
  if (node.destroyed || node.closed) return;
  if (!node.writableEnded) node.end = endNothing;
  node.close(code);
}

function endNothing<S>(this: S): S {
  return this;
}

function ignore(): void {}

const emit = EventEmitter.prototype.emit as (
  this: object,
  event: string | symbol,
  ...values: unknown[]
) => boolean;

/**
 * The `emit` of an adapted stream: tells its adapter, then the listeners that others may have added. Each listener
 * that is added to a stream makes it emit `newListener`, too: six for each of a call's streams took 3 to 9 % of its CPU.
 */
function emitToAdapter(
  this: Adapted<Http2Stream>,
  event: string | symbol,
  first: unknown,
  flags: number,
  rawHeaders: string[],
): boolean {
  const adapter = this[adapterOf];
  switch (event) {
    case 'data':
      adapter.data(first as Buffer);
      return true;
    case 'response':
      if (adapter instanceof NodeClientStream) {
        adapter.response(toHeaderList(rawHeaders, first as object), (flags & END_STREAM) !== 0);
      }
      break;
    case 'trailers':
      adapter.holdTrailers(toHeaderList(rawHeaders, first as object));
      break;
    case 'end':
      adapter.end();
      break;
    case 'drain':
      adapter.drain();
      break;
    case 'wantTrailers':
      adapter.wantTrailers();
      return true;
    case 'error':
      // What failed shows in the reset code at `close`; without a listener it would be thrown.
      adapter.failure = (first as NodeJS.ErrnoException).code ?? (first as Error).name;
      if (this.listenerCount('error') === 0) return true;
      break;
    case 'close':
      adapter.close();
  }
  return emit.call(this, event, first, flags, rawHeaders);
}
