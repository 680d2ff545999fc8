import type { Http2Stream } from 'node:http2';
import type { Holder } from '../../port/account.js';
import { LARGE_HEADER_LIST } from '../../port/headers.js';

const NOT_LOOKED_AT = -1;

/**
 * What waits in a node stream, in either direction. Node tells nobody what comes in for a stream that is paused, nor when
 * output moves: so streams that wait are looked at every so often.
 */
export class StreamBacklog {
  /** What is charged to its holder. */
  bytes = 0;
  /** Large header lists that nghttp2 may still have to send; nobody tells when it has. */
  #fields = 0;
  /** The bytes that it was given to send, how many of them had gone out at the last look, and since when. */
  #given = 0;
  #gone = NOT_LOOKED_AT;
  #stuckSince = 0;

  /** So many bytes are to be sent. */
  give(bytes: number): void {
    this.#given += bytes;
  }

  /** A header list of this size is to be sent; whether it is worth to be counted. */
  giveFields(size: number): boolean {
    if (size < LARGE_HEADER_LIST) return false;
    this.#fields += size;
    return true;
  }

  /** Charges what waits now. */
  count(node: Http2Stream, holder: Holder): void {
    this.#charge(node.readableLength + node.writableLength + this.#fields, holder);
  }

  /** It is not looked at for now: what is sent next begins to wait then. */
  rest(): void {
    this.#gone = NOT_LOOKED_AT;
  }

  /** Nothing waits any more. */
  clear(holder: Holder): void {
    this.#fields = 0;
    this.#charge(0, holder);
  }

  /** Whether there is something to send, and nothing of it has gone out for so long. */
  isStuck(node: Http2Stream, now: number, milliseconds: number): boolean {
    const { writableLength } = node;
    // Not what waits: of a long answer that may be as much at every look.
    const gone = this.#given - writableLength;
    if (writableLength > 0 && gone === this.#gone) return now - this.#stuckSince >= milliseconds;
    this.#gone = gone;
    this.#stuckSince = now;
    return false;
  }

  #charge(bytes: number, holder: Holder): void {
    if (bytes > this.bytes) holder.held.hold(bytes - this.bytes);
    else if (bytes < this.bytes) holder.held.release(this.bytes - bytes);
    this.bytes = bytes;
  }
}
