import type { Socket } from 'node:net';
import type { Account } from '../../../port/account.js';
import type { HeaderList } from '../../../port/headers.js';
import type { SendingStream, StreamScheduler, StreamWriter } from './sending.js';

/** A stream as its connection knows it. */
export interface OwnedStream extends SendingStream {
  id: number;
  /** How many buffers of output were full when it was opened, by which it is known whether its HEADERS have left. */
  openedIn: number;
}

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly socket: Socket;
  readonly account: Account;
  readonly isClient: boolean;
  readonly scheduler: StreamScheduler;
  readonly writer: StreamWriter;
  /** Gives a stream that this side opens its identifier. */
  onStreamOpened(stream: OwnedStream): void;
  /** The connection has no part in the stream any more. */
  onStreamClosed(stream: OwnedStream, wasReset: boolean): void;
  /** The stream, which is closed, holds a reset that its receiver is to be told; or it does no more. */
  onResetHeld(stream: OwnedStream, isHeld: boolean): void;
  /** @throws UnsendableFieldError */
  writeHeaders(streamId: number, headers: HeaderList, endStream: boolean): void;
  /** Sends RST_STREAM, or keeps it back. */
  sendReset(streamId: number, code: number): void;
}
