import http2, { type Http2Session, type Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { type Account, NOBODYS } from '../../port/account.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { Stream } from '../../port/stream.js';
import { CLOSED_HERE, goneAway } from '../connection-ends.js';
import { rememberPeer } from '../remember-peer.js';
import { endOfError } from './session-end.js';

/** Who is told of a {@link Carrier}'s streams and their end. */
export interface CarrierOwner {
  /** A stream has ended, and its receiver knows. */
  onStreamEnded(stream: Stream): void;
  /** The session has no stream identifier left. */
  onOutOfStreams(): void;
  /** The peer has sent GOAWAY. */
  onGoaway(): void;
  /** Whether RST_STREAM can be sent now; if not, the stream is left to {@link CarrierOwner.onResetWithheld}. */
  takeReset(): boolean;
  /** A stream that has ended for this side, and that the peer is not to be told of yet. */
  onResetWithheld(node: Http2Stream, code: number): void;
}

/** A stream that waits for its user, or for its peer. */
export interface WaitingStream {
  /** Counts what it holds, and ends it if its peer has taken nothing for too long. */
  check(now: number): void;
  /** The session is about to be lost: what has not been sent by now never will be. */
  onLosing(): void;
}

interface Goaway {
  readonly code: number;
  readonly lastStreamId: number;
  readonly end: ConnectionEnd;
}

/** A session as its streams see it: they tell it that the peer is alive, and it tells them why it has ended. */
export class Carrier {
  readonly session: Http2Session;
  readonly socket: Socket;
  readonly owner: CarrierOwner;
  /** What the peer costs, if it is a client. */
  readonly account: Account;
  /** How long a stream may have something to send and move nothing, in milliseconds. */
  readonly stallTimeout: number;
  /** The streams that are paused, have more to send than can be sent, or may not even have been opened. */
  readonly waiting = new Set<WaitingStream>();
  /** How many streams are running. */
  streamCount = 0;
  /** How many have been opened. */
  openedCount = 0;
  /** A stream has been given HEADERS or DATA to send since this was set to false. */
  hasSentContent = false;
  /** Set when a frame of a stream comes in; cleared by who looks. */
  heard = false;
  /** A stream has been answered. */
  hasAnswered = false;
  /** This side closes the session once its streams have ended. */
  closesHere = false;
  #goaway: Goaway | undefined;
  #error: NodeJS.ErrnoException | undefined;
  #end: ConnectionEnd | undefined;

  constructor(
    session: Http2Session,
    socket: Socket,
    owner: CarrierOwner,
    stallTimeout: number,
    account: Account = NOBODYS.account,
  ) {
    this.session = session;
    this.socket = socket;
    this.owner = owner;
    this.stallTimeout = stallTimeout;
    this.account = account;
    rememberPeer(socket);
    session.on('goaway', (code: number, lastStreamId: number, data?: Buffer) => {
      this.#goaway = { code, lastStreamId, end: goneAway(code, data, this.#goaway?.end) };
      // Node is about to destroy the session, without a further word.
      if (code !== ErrorCode.NO_ERROR) this.#tellLosing();
      owner.onGoaway();
    });
    // Before Node's own listener destroys the session, so that its streams know at their end.
    socket.prependListener('error', (error) => {
      this.onError(error);
      // Over TLS there are errors that end nothing.
      if (socket.destroyed) this.#tellLosing();
    });
    socket.prependListener('close', () => this.#tellLosing());
    // It would be thrown without a listener.
    session.on('error', (error) => this.onError(error));
  }

  /** What the peer takes of a header list: its SETTINGS_MAX_HEADER_LIST_SIZE. */
  get maxHeaderListBytes(): number {
    return this.session.remoteSettings.maxHeaderListSize ?? Infinity;
  }

  /** Called every so often. */
  checkStreams(now: number): void {
    for (const stream of this.waiting) stream.check(now);
  }

  /** What the peer has said by GOAWAY. */
  get farewell(): ConnectionEnd | undefined {
    return this.#goaway?.end;
  }

  /** The stream was above the last one that the peer named in its GOAWAY: "not processed" (RFC 9113 section 6.8). */
  wasRefused(streamId: number): boolean {
    // A client's GOAWAY speaks of pushed streams.
    const isClient = this.session.type === http2.constants.NGHTTP2_SESSION_CLIENT;
    return isClient && this.#goaway !== undefined && streamId > this.#goaway.lastStreamId;
  }

  /** An error of the session, its socket, or one of its streams, that may say why it ended. */
  onError(error: NodeJS.ErrnoException): void {
    // A stream's own failure, or what Node tells streams that were never sent.
    if (error.code?.startsWith('ERR_HTTP2_STREAM_') === true) return;
    this.#error ??= error;
  }

  /** Says why the session is about to end, unless that is known already. */
  decideEnd(end: ConnectionEnd): void {
    this.#end ??= end;
    this.#tellLosing();
  }

  #tellLosing(): void {
    for (const stream of this.waiting) stream.onLosing();
  }

  /** Whether this side has ended the session by such a code, which then is its streams', too. */
  wasEndedBy(code: number): boolean {
    return this.#end?.code === code;
  }

  /** Why the session has ended. */
  get end(): ConnectionEnd {
    this.#end ??= this.#findEnd();
    return this.#end;
  }

  #findEnd(): ConnectionEnd {
    if (this.closesHere && this.streamCount === 0) return CLOSED_HERE;
    const goaway = this.#goaway;
    // After GOAWAY, how TCP ends says nothing more.
    const isExplained = this.#error === undefined || this.#error.code === 'ECONNRESET';
    if (goaway !== undefined && (goaway.code !== ErrorCode.NO_ERROR || isExplained)) return goaway.end;
    return endOfError(this.#error, true);
  }
}

/**
 * The socket of a session, itself. `session.socket` is a proxy that throws once the session has let it go; what
 * `off` returns is the emitter that it was called on.
 */
export function socketOf(session: Http2Session): Socket {
  return session.socket.off('close', doNothing);
}

function doNothing(): void {}
