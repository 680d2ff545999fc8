import type { Socket } from 'node:net';
import type { HeaderList } from '../grpc/headers.js';

/**
 * One HTTP/2 stream, seen from either of its ends: frames go out through the methods and come in at
 * {@link StreamReceiver}. A stream starts paused.
 *
 * The transport validates what it receives (RFC 9113) and delivers well-formed sequences only: one HEADERS,
 * any DATA, then the end: END_STREAM on the HEADERS, a second HEADERS (trailers, always with END_STREAM),
 * `onEnd`, or `onReset`. Interim (1xx) responses are not delivered.
 */
export interface Stream {
  /** Where frames that come in are delivered; may be replaced at any time. */
  receiver: StreamReceiver;

  /**
   * Sends HEADERS; a second call sends trailers and must set `endStream`. The list begins with the
   * pseudo-header fields and must not hold connection-specific fields (RFC 9113 section 8.2.2).
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
}

/** What a {@link Stream} delivers. Calls come one at a time and never from inside `sendHeaders`. */
export interface StreamReceiver {
  /** HEADERS: the response's, on a stream that this side opened; else trailers. */
  onHeaders(headers: HeaderList, endStream: boolean): void;
  /** DATA, never empty. The chunk is valid during the call; to hold it for longer, take what `keep` gives for it. */
  onData(chunk: Buffer): void;
  /** END_STREAM on a DATA frame. */
  onEnd(): void;
  /**
   * The stream ended without END_STREAM from the peer, or was reset after it: RST_STREAM with `code`, or
   * the connection was lost. The last call on this receiver. Does not follow this side's own `reset`.
   */
  onReset(code: number, connectionLost: boolean): void;
  /** `sendData` may be called again after it returned false. */
  onDrain(): void;
}

/** Takes the streams that peers open. */
export interface StreamAcceptor {
  /** The stream's first HEADERS. The acceptor sets `stream.receiver` before it returns. */
  onStream(stream: IncomingStream, headers: HeaderList, endStream: boolean): void;
}

/** Where a server listens: TCP, or a unix socket. */
export type ListenAddress = { readonly host?: string; readonly port: number } | { readonly path: string };

/** Accepts connections, and gives their streams to a {@link StreamAcceptor}. */
export interface ServerTransport {
  /** Starts to listen; resolves with the address in use (the port that port 0 became). Can be called again. */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /**
   * Drains: no new connections, GOAWAY on those that are open, running streams finish, then connections
   * close. Resolves when the last one has.
   */
  close(): Promise<void>;
  /** Ends everything at once: running streams are reset. */
  destroy(): void;
}

/** Asks a {@link ClientTransport} for a stream. */
export interface StreamRequester {
  /** A stream that is reserved for this requester, whose HEADERS must be sent before this call returns. */
  onStream(stream: Stream): void;
  /** No connection could be made. */
  onConnectError(error: Error): void;
}

/** The connections to one backend. */
export interface ClientTransport {
  /**
   * Gets a stream on a connection that is established, not going away, and has room under the peer's
   * SETTINGS_MAX_CONCURRENT_STREAMS: before this call returns if there is one, else once there is.
   */
  openStream(requester: StreamRequester): void;
  /** Takes a request back that has not been answered. */
  cancelOpen(requester: StreamRequester): void;
  /** Running streams finish, then connections close; resolves when the last one has. */
  close(): Promise<void>;
  /** Closes all connections at once; running streams end in `onReset`. */
  destroy(): void;
}
