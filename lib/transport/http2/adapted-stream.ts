import { EventEmitter } from 'node:events';
import http2, { type Http2Stream } from 'node:http2';
import type { HeaderList } from '../../port/headers.js';
import { toHeaderList } from './fields.js';

const END_STREAM = http2.constants.NGHTTP2_FLAG_END_STREAM;

/** Who is told what a node stream emits. */
export interface Adapter {
  data(chunk: Buffer): void;
  response(headers: HeaderList, endStream: boolean): void;
  holdTrailers(trailers: HeaderList): void;
  end(): void;
  aborted(): void;
  drain(): void;
  wantTrailers(): void;
  error(error: NodeJS.ErrnoException): void;
  close(): void;
  /** One of the others has thrown. */
  onThrown(error: unknown): void;
}

const adapterOf = Symbol('adapter');
type AdaptedStream = Http2Stream & { [adapterOf]?: Adapter };

/** What the stream emits goes to a function of the module, shared by all streams, which finds the adapter by a symbol. */
export function adapt(node: Http2Stream, adapter: Adapter): void {
  (node as AdaptedStream)[adapterOf] = adapter;
  node.emit = emitToAdapter as typeof node.emit;
}

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
  this: AdaptedStream,
  event: string | symbol,
  first: unknown,
  flags: number,
  rawHeaders: string[],
): boolean {
  const adapter = this[adapterOf]!;
  try {
    switch (event) {
      case 'data':
        adapter.data(first as Buffer);
        return true;
      case 'response':
        adapter.response(toHeaderList(rawHeaders, first as object), (flags & END_STREAM) !== 0);
        break;
      case 'trailers':
        adapter.holdTrailers(toHeaderList(rawHeaders, first as object));
        break;
      case 'end':
        adapter.end();
        break;
      case 'aborted':
        adapter.aborted();
        break;
      case 'drain':
        adapter.drain();
        break;
      case 'wantTrailers':
        adapter.wantTrailers();
        return true;
      case 'error':
        // What failed shows in the reset code at `close`; without a listener it would be thrown.
        adapter.error(first as NodeJS.ErrnoException);
        if (this.listenerCount('error') === 0) return true;
        break;
      case 'close':
        adapter.close();
    }
  } catch (error) {
    // An exception inside an event would end the process.
    adapter.onThrown(error);
  }
  return emit.call(this, event, first, flags, rawHeaders);
}
