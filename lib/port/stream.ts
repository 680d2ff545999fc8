import type { Socket } from 'node:net';
import type { Account, Holder } from './account.js';
import type { ConnectionEnd } from './connection-end.js';
import type { HeaderList } from './headers.js';

/**
 * One HTTP/2 stream, seen from either of its ends: frames go out through the methods and come in at
 * {@link StreamReceiver}. A stream starts paused.
 *
 * The transport validates what it receives (RFC 9113) and delivers well-formed sequences only: one HEADERS,
 * any DATA, then the end: END_STREAM on the HEADERS, a second HEADERS (trailers, always with END_STREAM),
 * `onEnd`, or `onReset`. Interim (1xx) responses are not delivered.
 *
 * No method throws, whatever the fields or bytes are, and none calls a receiver before it returns.
 */
export interface Stream {
  /** Where frames that come in are delivered; may be replaced at any time. */
  receiver: StreamReceiver;

  /** Whom what is held in this stream, in either direction, is charged to. To be set before anything can be held. */
  holder: Holder;

  /**
   * Sends HEADERS; a second call sends trailers and must set `endStream`. The list begins with the
   * pseudo-header fields and must not hold connection-specific fields (RFC 9113 section 8.2.2). A list that
   * cannot be sent ends the stream: INTERNAL_ERROR to the peer, and an `onReset` by this side that says why.
   */
  sendHeaders(headers: HeaderList, endStream: boolean): void;

  /**
   * Sends DATA. The chunk, one from `onData` or one that belongs to the transport until it is sent, is never
   * written to. False: it was taken, but hold back until `onDrain`. An empty chunk with `endStream` half-closes.
   */
  sendData(chunk: Buffer, endStream: boolean): boolean;

  /**
   * Sends RST_STREAM, and discards what is still queued in both directions; nothing is delivered after it.
   * With NO_ERROR (0), once this side has sent END_STREAM, everything queued goes out first: "a server MAY
   * request that the client abort transmission of a request without error by sending a RST_STREAM with an
   * error code of NO_ERROR after sending a complete response" (RFC 9113 section 8.1). Without effect on a
   * stream that has ended.
   */
  reset(code: number): void;

  /** Stops delivery of DATA, and of the end behind it; flow control then holds the peer back. */
  pause(): void;

  /** Starts delivery, or goes on with it. */
  resume(): void;
}

/** A stream that a peer opened. */
export interface IncomingStream extends Stream {
  /** The connection's socket: a `tls.TLSSocket` when it is encrypted. To look at, not to read or write. */
  readonly socket: Socket;
  /** What the connection's peer costs. */
  readonly account: Account;
}

/** Why a stream ended before its time. */
export interface StreamReset {
  /** RST_STREAM's error code; CANCEL for a stream that was lost with its connection. */
  readonly code: number;
  /** Who ended it: the peer, or this side because of what the peer sent. */
  readonly by: 'peer' | 'local';
  /** What this side found wrong, for people; undefined for a peer's RST_STREAM, which has no text. */
  readonly text: string | undefined;
  /** Set when the stream was lost with its connection: what became of that. */
  readonly lost: ConnectionEnd | undefined;
  /** Set when it is certain that nothing of the stream has left this process, not even its HEADERS. */
  readonly isUnsent?: true;
}

/** What a {@link Stream} delivers. Calls come one at a time, and never from inside a method of the stream. */
export interface StreamReceiver {
  /** HEADERS: the response's, on a stream that this side opened; else trailers. */
  onHeaders(headers: HeaderList, endStream: boolean): void;
  /** DATA, never empty. The chunk is valid during the call; to hold it for longer, take what `keep` gives for it. */
  onData(chunk: Buffer): void;
  /** END_STREAM on a DATA frame. */
  onEnd(): void;
  /**
   * The stream ended without END_STREAM from the peer, or was reset after it. The last call on this receiver.
   * Does not follow this side's own `reset`.
   */
  onReset(reset: StreamReset): void;
  /** `sendData` may be called again after it returned false. */
  onDrain(): void;
}

/** Takes what comes before a stream's user has set a receiver, or after its user is done. */
export const NOBODY: StreamReceiver = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onReset() {},
  onDrain() {},
};
