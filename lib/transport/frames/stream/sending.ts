import type { Waiting } from './waiting.js';

/** A stream as whoever sends its DATA sees it. */
export interface SendingStream {
  readonly id: number;
  /** What may still be sent; negative after the peer has lowered SETTINGS_INITIAL_WINDOW_SIZE. */
  sendWindow: number;
  /** What waits for the peer's windows or the socket. */
  readonly outbox: Waiting | undefined;
  /** END_STREAM has been put into the output. */
  onEndSent(): void;
  /** All DATA of the outbox has been put into the output, END_STREAM with it if that waited by itself. */
  onOutboxSent(): void;
  /** Tells the sender that there is room in the outbox again. */
  drain(): void;

  /** The line of streams that can send, which belongs to the {@link StreamScheduler}. */
  inLine: boolean;
  before: SendingStream | undefined;
  behind: SendingStream | undefined;
}

/** Decides when a stream's DATA goes out. */
export interface StreamScheduler {
  /** Sends what can be sent of a chunk at once, END_STREAM behind its end; returns how much that was. */
  send(stream: SendingStream, chunk: Buffer, endStream: boolean): number;
  /** Puts a stream that has DATA waiting in line. */
  add(stream: SendingStream): void;
}

/** What a stream writes by itself. */
export interface StreamWriter {
  /** The socket is backed up: DATA must wait. */
  readonly blocked: boolean;
  writeResetStream(streamId: number, code: number): void;
  writeWindowUpdate(streamId: number, increment: number): void;
}
