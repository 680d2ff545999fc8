import type { Socket } from 'node:net';
import { FrameConnection, type FrameReceiver, type FrameStream } from '../wire/frame-connection.js';
import type { Traffic } from './traffic.js';

export const REQUEST_HEADERS = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/bench.Bench/Call'],
  [':authority', 'localhost'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
  ['user-agent', 'grpc-frame-proxy-bench'],
  ['x-tenant', 'acme'],
] as const;

/** Counts calls, whichever connection they go over, and says when to stop. */
export interface CallLedger {
  /** Whether another call may begin; counts it if so. */
  begin(): boolean;
  end(milliseconds: number, failed: boolean): void;
}

interface RunningCall {
  readonly stream: FrameStream;
  readonly start: number;
  received: number;
  sent: number;
  halfClosed: boolean;
}

/** Keeps a number of calls in flight on one connection. */
export class CallDriver implements FrameReceiver {
  readonly #connection: FrameConnection;
  readonly #traffic: Traffic;
  readonly #message: Buffer;
  readonly #ledger: CallLedger;
  readonly #calls = new Map<number, RunningCall>();
  #nextStreamId = 1;
  #gone = false;

  constructor(socket: Socket, traffic: Traffic, message: Buffer, ledger: CallLedger) {
    this.#traffic = traffic;
    this.#message = message;
    this.#ledger = ledger;
    this.#connection = new FrameConnection(socket, this, false);
  }

  onReady(): void {
    this.fill();
  }

  /** Begins as many calls as may be. */
  fill(): void {
    const free = this.#traffic.inFlightPerConnection - this.#calls.size;
    for (let index = 0; index < free; index++) this.#begin();
  }

  onHeaders(streamId: number, endStream: boolean): void {
    const call = this.#calls.get(streamId);
    // The end comes with trailers; an error that a proxy made has them, too, but not all of the response.
    if (call !== undefined && endStream) {
      this.#end(call, !call.halfClosed || call.received !== this.#traffic.responseBytes);
    }
  }

  onData(streamId: number, payload: Buffer, endStream: boolean): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) return;
    call.received += payload.length;
    if (endStream) this.#end(call, true);
    else this.#sendMore(call);
  }

  onReset(streamId: number): void {
    const call = this.#calls.get(streamId);
    if (call !== undefined) this.#end(call, true);
  }

  onGone(): void {
    this.#gone = true;
    for (const call of this.#calls.values()) this.#end(call, true);
  }

  close(): void {
    this.#connection.close();
  }

  #begin(): void {
    if (this.#gone || !this.#ledger.begin()) return;
    const stream = this.#connection.open(this.#nextStreamId);
    this.#nextStreamId += 2;
    const call = { stream, start: performance.now(), received: 0, sent: 0, halfClosed: false };
    this.#calls.set(stream.id, call);
    this.#connection.sendHeaders(stream, REQUEST_HEADERS);
    this.#sendMore(call);
  }

  #sendMore(call: RunningCall): void {
    const { messages, unansweredMessages = messages } = this.#traffic;
    const answered = Math.floor(call.received / this.#message.length);
    while (call.sent < messages && call.sent < answered + unansweredMessages) {
      this.#connection.sendData(call.stream, this.#message);
      call.sent++;
    }
    if (call.sent < messages || call.halfClosed) return;
    call.halfClosed = true;
    this.#connection.end(call.stream, 'half-close');
  }

  #end(call: RunningCall, failed: boolean): void {
    this.#calls.delete(call.stream.id);
    this.#connection.forget(call.stream.id);
    this.#ledger.end(performance.now() - call.start, failed);
    this.#begin();
  }
}
