import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { NOBODYS } from '../../port/account.js';
import type { ClientConnection, ConnectionOwner } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ownError } from '../../port/errors.js';
import type { Stream } from '../../port/stream.js';
import { connect, speaksHttp2 } from '../connect.js';
import { beforeSettings, CLOSED_HERE, connectTimeout, endOfSocket } from '../connection-ends.js';
import type { DialerOptions } from '../options.js';
import type { Watchdog } from '../watchdog.js';
import { ClientRole } from './client-role.js';
import { Connection } from './connection.js';
import { deliverLater } from './stream/delivery.js';
import { INADEQUATE_TLS, isAdequate } from './tls-rules.js';

/** What the owner is to be told: each at most once a turn, in this order. */
const News = {
  NONE: 0,
  READY: 1,
  ROOM: 2,
  GOING_AWAY: 4,
  GOING_AWAY_BY_ITSELF: 8,
} as const;

/**
 * A connection to a backend, from the attempt to make it on. It passes on to its owner what its role tells it, once
 * whoever is running has returned: the owner opens streams at once, and a stream's method may be what is running.
 */
export class FramesClientConnection implements ClientConnection, ConnectionOwner {
  private socket: Socket | undefined = undefined;
  /** What the socket has reported before there was a {@link connection} for it. */
  private socketError: Error | undefined = undefined;
  private readonly timer: NodeJS.Timeout;
  private connection: Connection | undefined = undefined;
  private role: ClientRole | undefined = undefined;
  private isReady = false;
  private isOver = false;
  private news: number = News.NONE;

  constructor(
    private readonly owner: ConnectionOwner,
    private readonly options: DialerOptions,
    private readonly watchdog: Watchdog,
    private readonly firstStreamId: number,
  ) {
    const milliseconds = options.limits.connectTimeoutMilliseconds;
    this.timer = setTimeout(() => this.giveUp(connectTimeout(milliseconds)), milliseconds);
    try {
      this.begin();
    } catch (error) {
      this.finish({ ...endOfSocket(error as Error, false), cause: 'tls' });
    }
  }

  get hasRoom(): boolean {
    return this.role?.hasRoom === true;
  }

  get streamCount(): number {
    return this.connection === undefined ? 0 : this.connection.streams.size;
  }

  get maxConcurrentStreams(): number {
    return this.role === undefined ? Number.POSITIVE_INFINITY : this.role.maxStreams;
  }

  get hasAnswered(): boolean {
    return this.role?.hasAnswered === true;
  }

  get isWatched(): boolean {
    return this.role?.isWatched === true;
  }

  set isWatched(isWatched: boolean) {
    if (this.role !== undefined) this.role.isWatched = isWatched;
  }

  openStream(): Stream {
    if (this.role === undefined) throw ownError('ERR_INTERNAL_ASSERTION', 'the connection is not ready');
    return this.role.openStream();
  }

  shutDown(): void {
    if (this.isReady) this.role!.shutDown();
    else this.giveUp(CLOSED_HERE);
  }

  destroy(): void {
    if (this.connection === undefined) this.giveUp(CLOSED_HERE);
    else this.connection.destroy(CLOSED_HERE);
  }

  onReady(): void {
    this.isReady = true;
    clearTimeout(this.timer);
    this.watchdog.add(this.connection!);
    this.tellLater(News.READY);
  }

  onRoom(): void {
    this.tellLater(News.ROOM);
  }

  onGoingAway(bySelf: boolean): void {
    this.tellLater(bySelf ? News.GOING_AWAY_BY_ITSELF : News.GOING_AWAY);
  }

  onEnded(end: ConnectionEnd): void {
    this.finish(this.isReady ? end : this.beforeSettings(end));
  }

  private begin(): void {
    const { address, serverName, tls } = this.options;
    const socket = connect(address, tls?.optionsFor(serverName));
    this.socket = socket;
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => this.onConnected(socket));
    socket.on('error', (error) => {
      this.socketError ??= error;
    });
    socket.once('close', () => {
      if (this.connection === undefined)
        this.finish(this.beforeSettings(endOfSocket(this.socketError, false)));
    });
  }

  private onConnected(socket: Socket): void {
    // The socket is about to fail if it does not speak HTTP/2.
    if (this.isOver || (isTls(socket) && !speaksHttp2(socket))) return;
    const { keepalive } = this.options;
    const limits = { ...this.options.limits, keepalive: keepalive.times };
    const { account } = NOBODYS;
    const connection = new Connection(socket, account, limits, this.firstStreamId, (made) => {
      this.role = new ClientRole(made, limits, keepalive, this);
      return this.role;
    });
    this.connection = connection;
    connection.start();
    if (isTls(socket) && !isAdequate(socket)) connection.fail(INADEQUATE_TLS, 'inadequate TLS');
  }

  /** Ends what has not got as far as the peer's SETTINGS. */
  private giveUp(end: ConnectionEnd): void {
    if (this.isOver) return;
    if (this.connection !== undefined) {
      this.connection.destroy(end);
      return;
    }
    this.finish(end);
    this.socket?.destroy();
  }

  private beforeSettings(end: ConnectionEnd): ConnectionEnd {
    return beforeSettings(end, this.options.tls?.showsCertificate === true);
  }

  private finish(end: ConnectionEnd): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    if (this.connection !== undefined) this.watchdog.remove(this.connection);
    const { owner } = this;
    // Behind what its streams are told.
    deliverLater({ deliver: () => owner.onEnded(end) });
  }

  private tellLater(news: number): void {
    if (this.news === News.NONE) process.nextTick(tellNews, this);
    this.news |= news;
  }

  /** Tells the owner what has become of the connection since it was told last. */
  tellNews(): void {
    const { news, owner } = this;
    this.news = News.NONE;
    if ((news & News.READY) !== 0) owner.onReady();
    if ((news & News.ROOM) !== 0) owner.onRoom();
    if ((news & News.GOING_AWAY) !== 0) owner.onGoingAway(false);
    if ((news & News.GOING_AWAY_BY_ITSELF) !== 0) owner.onGoingAway(true);
  }
}

function tellNews(connection: FramesClientConnection): void {
  connection.tellNews();
}

function isTls(socket: Socket): socket is TLSSocket {
  return 'encrypted' in socket;
}
