import type { Socket } from 'node:net';
import type { DialAddress, ListenAddress } from './address.js';
import type { ConnectionEnd } from './connection-end.js';
import type { HeaderList } from './headers.js';
import type { PeerRefusalReason } from './peer-refusal.js';
import type { IncomingStream, Stream } from './stream.js';

/** Makes connections to one address. */
export interface Dialer {
  /**
   * Begins to make one: TCP, TLS, and the peer's SETTINGS, within the connect timeout. Never throws; what can't
   * even be tried (a broken certificate) is told the owner like any other failure. The owner is not called before
   * this returns.
   */
  dial(owner: ConnectionOwner): ClientConnection;
}

/** One connection to a backend, from the first attempt on. */
export interface ClientConnection {
  /**
   * Whether {@link openStream} can be called now: the peer's SETTINGS are known and allow one stream more, the
   * connection is not going away, and it has identifiers left.
   */
  readonly hasRoom: boolean;
  /** How many streams are running. */
  readonly streamCount: number;
  /** The streams that may run at a time: the peer's SETTINGS_MAX_CONCURRENT_STREAMS, or this side's own limit. */
  readonly maxConcurrentStreams: number;
  /** The peer has answered a stream with HEADERS: it is of use. */
  readonly hasAnswered: boolean;
  /**
   * One of its streams, at most, is for this side's own use: alone it does not keep the process alive. To be set before
   * that stream is opened, and back when it is left.
   */
  isWatched: boolean;
  /** Opens a stream; only while {@link hasRoom}. Its HEADERS must be sent before anything else is opened or awaited. */
  openStream(): Stream;
  /** Takes no more streams, and closes once those that run have ended. */
  shutDown(): void;
  /** Closes it at once. Running streams are told by `onReset`, after this has returned. */
  destroy(): void;
}

/** Who is told what becomes of a {@link ClientConnection}; never from inside one of its methods. */
export interface ConnectionOwner {
  /** The peer's SETTINGS have come: streams can be opened, if they allow any. */
  onReady(): void;
  /** There may be room for a stream where there was none: one has ended, or the peer's SETTINGS have changed. */
  onRoom(): void;
  /**
   * No further streams: the peer has sent GOAWAY; or, `bySelf`, the identifiers have run out, or the peer may soon have had
   * enough of it. Those that run go on. Where there is no other it may still be used, as long as it has room.
   */
  onGoingAway(bySelf: boolean): void;
  /** It has ended, or was never made, and all its streams have been told. The last call. */
  onEnded(end: ConnectionEnd): void;
}

/** Takes the streams that peers open. */
export interface StreamAcceptor {
  /** The stream's first HEADERS. The acceptor sets `stream.receiver` before it returns. */
  onStream(stream: IncomingStream, headers: HeaderList, endStream: boolean): void;
  /**
   * A client's connection was refused, or ended for what the client did: once for each.
   *
   * @param socket TCP's, or TLS's, by which it came; it may be closed, but says whose it was
   * @param text what the client did, as in a {@link ConnectionEnd}
   */
  onPeerRefused?(socket: Socket, reason: PeerRefusalReason, text: string): void;
}

/** Accepts connections, and gives their streams to a {@link StreamAcceptor}. */
export interface ServerTransport {
  /**
   * Starts to listen; resolves with the address in use (the port that port 0 became). Can be called again.
   * Rejects once `close` or `destroy` has been called, also while it is under way; and by the signal, while it is.
   */
  listen(address: ListenAddress, signal?: AbortSignal): Promise<DialAddress>;
  /**
   * Drains: no new connections, GOAWAY on those that are open, running streams finish, then connections
   * close. Resolves when the last one has.
   */
  close(): Promise<void>;
  /** Ends everything at once: running streams are reset. */
  destroy(): void;
}
