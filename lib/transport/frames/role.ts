import type { Socket } from 'node:net';
import type { ConnectionEnd } from '../../port/connection-end.js';
import type { HeaderList } from '../../port/headers.js';
import type { Liveness } from './liveness.js';
import type { FrameWriter } from './output/frame-writer.js';
import type { PeerSettings } from './settings.js';
import type { Identifiers } from './stream/identifiers.js';
import type { FrameStream } from './stream/stream.js';
import type { StreamOwner } from './stream/stream-owner.js';
import type { StreamTable } from './stream/stream-table.js';

/** What a connection does differently as a client and as a server. */
export interface Role {
  readonly isClient: boolean;
  /** From the beginning to the peer's SETTINGS. */
  readonly handshakeTimeoutMilliseconds: number;
  /** What its SETTINGS say beside what both ends say. */
  readonly settings: readonly (readonly [number, number])[];
  /**
   * A field block that is no trailer section: a response, if there is a stream; else one that opens a stream, or is
   * for a stream that has been closed.
   */
  receiveHeaders(
    stream: FrameStream | undefined,
    streamId: number,
    headers: HeaderList,
    endStream: boolean,
    fault: FieldFault,
  ): void;
  /** Takes no more streams, and closes once those that run have ended. */
  shutDown(): void;
  /** Sends RST_STREAM, or keeps it back. */
  sendReset(streamId: number, code: number): void;
  /** The peer sends more frames than it may of those that move nothing. */
  onFlood(what: string): void;
  /** Whether anything depends on the peer; if not, it may be silent for ever. */
  readonly isPeerNeeded: boolean;
  /** Called every so often. */
  check(now: number): void;
  /** This side has opened a stream. */
  onStreamOpened(): void;
  /** A stream has left the table. */
  onStreamClosed(): void;
  /** The peer's SETTINGS have come, the first or others. */
  onSettings(isFirst: boolean): void;
  /** @throws ConnectionError if the peer sends PINGs too often */
  onPing(): void;
  onPingAcknowledged(payload: Buffer, start: number): void;
  /** The peer opens no more streams, and takes none above the last; `end` is what it has said. */
  onGoAway(lastStreamId: number, end: ConnectionEnd): void;
  /** The connection is of no use any more; its streams are being told. */
  onLost(end: ConnectionEnd): void;
  /** The socket is closed. */
  onClosed(end: ConnectionEnd): void;
}

/** What is wrong with a field block that could be decoded. */
export type FieldFault = 'none' | 'illegal' | 'too large';

/** What a role does with its connection. */
export interface RoleConnection extends StreamOwner {
  readonly socket: Socket;
  readonly writer: FrameWriter;
  readonly peer: PeerSettings;
  readonly streams: StreamTable;
  readonly identifiers: Identifiers;
  readonly liveness: Liveness;
  /** The peer's SETTINGS have come. */
  readonly hasSettings: boolean;
  /** The peer's SETTINGS have come, and nothing has ended it since. */
  readonly takesStreams: boolean;
  /** Nothing is read or written any more. */
  readonly isDead: boolean;
  readonly isGoingAway: boolean;
  /** No new streams. */
  goAway(): void;
  /**
   * Closes the connection whose work is done.
   *
   * @param debug what the peer is told as the reason
   */
  closeGracefully(debug: string): void;
  /** A connection error (section 5.4.1). */
  fail(end: ConnectionEnd, debug: string): void;
  /** Ends everything at once. */
  destroy(end: ConnectionEnd): void;
  /** A stream error (section 5.4.2) on a stream that has no receiver. */
  refuse(streamId: number, code: number): void;
  /** Frames of this stream, which is not taken, are ignored. */
  ignore(streamId: number): void;
  /** @throws ConnectionError if HEADERS must not come for a stream that is closed */
  checkLateHeaders(streamId: number): void;
}
