import http2, { type Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { Stream } from '../../port/stream.js';
import { CLOSED_HERE, goneAway } from '../connection-ends.js';
import { endOfError } from './session-end.js';

/** Who is told of a {@link Carrier}'s streams and their end. */
export interface CarrierOwner {
  /** A stream has ended, and its receiver knows. */
  onStreamEnded(stream: Stream): void;
  /** The session has no stream identifier left. */
  onOutOfStreams(): void;
  /** The peer has sent GOAWAY. */
  onGoaway(): void;
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
  /** How many streams are running. */
  streamCount = 0;
  /** Set when a frame of a stream comes in; cleared by who looks. */
  heard = false;
  /** A stream has been answered. */
  hasAnswered = false;
  /** This side closes the session once its streams have ended. */
  closesHere = false;
  #goaway: Goaway | undefined;
  #error: NodeJS.ErrnoException | undefined;
  #end: ConnectionEnd | undefined;

  constructor(session: Http2Session, socket: Socket, owner: CarrierOwner) {
    this.session = session;
    this.socket = socket;
    this.owner = owner;
    session.on('goaway', (code: number, lastStreamId: number, data?: Buffer) => {
      this.#goaway = { code, lastStreamId, end: goneAway(code, data) };
      owner.onGoaway();
    });
    // Before Node's own listener destroys the session, so that its streams know at their end.
    socket.prependListener('error', (error) => this.onError(error));
    // It would be thrown without a listener.
    session.on('error', (error) => this.onError(error));
  }

  /** Whether the peer has sent GOAWAY. */
  get isGoingAway(): boolean {
    return this.#goaway !== undefined;
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
