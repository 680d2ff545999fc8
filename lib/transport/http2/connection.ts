import type { ClientHttp2Session, Http2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { ClientConnection, ConnectionOwner } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ownError } from '../../port/errors.js';
import type { Stream } from '../../port/stream.js';
import { Carrier, type CarrierOwner } from './carrier.js';
import { NodeClientStream } from './client-stream.js';

/** The identifiers of a client's streams: the odd ones of 31 bits (RFC 9113 section 5.1.1). */
const CLIENT_STREAM_IDS = 2 ** 30;

/** What Node says for a peer that has named no SETTINGS_MAX_CONCURRENT_STREAMS. */
const UNLIMITED_STREAMS = 2 ** 32 - 1;

/**
 * Where a connection stands. `open`: it takes streams, if there is room. `leaving`: it takes none any more, those that
 * run go on. `over`: it is closed, or about to be.
 *
 *     connecting → open → leaving → over
 */
export type Phase = 'connecting' | 'open' | 'leaving' | 'over';

/** What every connection to a backend does with its session, however that was made. */
export abstract class Connection implements ClientConnection, CarrierOwner {
  protected readonly owner: ConnectionOwner;
  protected phase: Phase = 'connecting';
  protected carrier: Carrier | undefined;
  #maxConcurrentStreams = Infinity;
  readonly #maxStreams: number;
  #idsLeft = CLIENT_STREAM_IDS;
  /** Why it has ended, as soon as nothing but its streams is left of it. */
  #end: ConnectionEnd | undefined;
  #isTold = false;
  #isWatched = false;

  /** @param maxStreams this side's own limit of the streams at a time */
  constructor(owner: ConnectionOwner, maxStreams: number) {
    this.owner = owner;
    this.#maxStreams = maxStreams;
  }

  abstract shutDown(): void;
  abstract destroy(): void;

  get hasRoom(): boolean {
    return this.isOpen && this.streamCount < this.maxConcurrentStreams;
  }

  /** Whether Node would take a stream. */
  protected get isOpen(): boolean {
    const session = this.carrier?.session;
    if (this.phase !== 'open' || session === undefined || this.#idsLeft === 0) return false;
    return !session.closed && !session.destroyed;
  }

  get streamCount(): number {
    return this.carrier?.streamCount ?? 0;
  }

  get maxConcurrentStreams(): number {
    return Math.min(this.#maxConcurrentStreams, this.#maxStreams);
  }

  get hasAnswered(): boolean {
    return this.carrier?.hasAnswered ?? false;
  }

  get isWatched(): boolean {
    return this.#isWatched;
  }

  set isWatched(isWatched: boolean) {
    this.#isWatched = isWatched;
    // The stream that was for that has not ended yet: until then it counts as any other.
    if (!isWatched && this.streamCount > 0) this.holdProcess(true);
  }

  openStream(): Stream {
    const { carrier } = this;
    if (carrier === undefined) throw ownError('ERR_INTERNAL_ASSERTION', 'the connection is not open');
    // An idle connection doesn't keep the process alive.
    if (carrier.streamCount === this.#idleStreams) this.holdProcess(true);
    const stream = this.createStream(carrier);
    this.#idsLeft--;
    if (this.#idsLeft === 0) setImmediate(() => this.onOutOfStreams());
    return stream;
  }

  /** How many streams one has that is idle. */
  get #idleStreams(): number {
    return this.#isWatched ? 1 : 0;
  }

  /** Lets the process live for as long as the session does, or not. */
  protected holdProcess(isHeld: boolean): void {
    const session = this.carrier?.session;
    if (isHeld) session?.ref();
    else session?.unref();
  }

  protected createStream(carrier: Carrier): NodeClientStream {
    return new NodeClientStream(carrier);
  }

  onStreamEnded(_stream: Stream): void {
    const { carrier, phase } = this;
    // One that closes is waited for by somebody.
    if (carrier !== undefined && carrier.streamCount <= this.#idleStreams && phase === 'open')
      this.holdProcess(false);
    if (this.#end !== undefined) this.#tellEndIfDone(this.#end);
    else if (phase === 'open') this.owner.onRoom();
  }

  onOutOfStreams(): void {
    this.leave(true);
  }

  onGoaway(): void {
    this.leave(false);
  }

  takeReset(): boolean {
    return true;
  }

  onResetWithheld(_node: Http2Stream, _code: number): void {}

  /** The session can carry streams. */
  protected open(session: ClientHttp2Session, socket: Socket, stallTimeout: number): Carrier {
    const carrier = new Carrier(session, socket, this, stallTimeout);
    this.carrier = carrier;
    this.phase = 'open';
    this.#takeLimit(session);
    session.on('remoteSettings', () => {
      this.#takeLimit(session);
      if (this.phase === 'open') this.owner.onRoom();
    });
    return carrier;
  }

  /** It is closed; the owner is told once its streams have been. */
  protected ended(end: ConnectionEnd): void {
    this.phase = 'over';
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#tellEndIfDone(end);
  }

  #tellEndIfDone(end: ConnectionEnd): void {
    if (this.streamCount > 0 || this.#isTold) return;
    this.#isTold = true;
    this.owner.onEnded(end);
  }

  /** It takes no more streams. */
  protected leave(bySelf: boolean): void {
    if (this.phase !== 'open') return;
    this.phase = 'leaving';
    this.owner.onGoingAway(bySelf);
  }

  #takeLimit(session: ClientHttp2Session): void {
    const { maxConcurrentStreams = UNLIMITED_STREAMS } = session.remoteSettings;
    this.#maxConcurrentStreams = maxConcurrentStreams >= UNLIMITED_STREAMS ? Infinity : maxConcurrentStreams;
  }
}
