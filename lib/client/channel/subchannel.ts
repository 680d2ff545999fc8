import { AsyncLocalStorage } from 'node:async_hooks';
import type { Account } from '../../port/account.js';
import type { ClientConnection, ConnectionOwner, Dialer } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { ChannelLimits } from './channel-limits.js';
import { type ClientShare, type Lane, Lanes } from './lanes.js';

/** How often connections are looked at for their use, at least. */
const SWEEP_MILLISECONDS = 4_000;

/** Looks without a stream after which a connection closes that is not the only one: it was for a peak, or an attack. */
const SURPLUS_SWEEPS = 2;

/**
 * How often a connection may be made because the backend refuses streams: to one that sheds load, connections are no
 * more welcome than calls.
 */
const REFUSED_GROWTH_MILLISECONDS = 1000;

/** How often a connection may be made although the last one allows no streams: the backend may be others by now. */
const NO_STREAMS_GROWTH_MILLISECONDS = 10_000;

/**
 * A backend that closes its connections in order, by GOAWAY, before it has answered anything is no failure at first: it
 * is dialled again, so often in a row, this long after the attempt before.
 */
const MAX_FAREWELLS = 8;
const FAREWELL_MILLISECONDS = 250;

/** How many clients a connection remembers beyond the time between two looks. */
const MAX_CLIENTS = 1000;

/** How long a client with many streams waits for a connection of its own where others have room. */
const LANE_WAIT_MILLISECONDS = 1000;

/** Whether an address can be reached, by what is known of its connections. */
export type SubchannelState =
  | { readonly name: 'idle' }
  | { readonly name: 'connecting' }
  | { readonly name: 'ready' }
  | { readonly name: 'failed'; readonly end: ConnectionEnd; readonly wasReady: boolean }
  | { readonly name: 'shutdown' };

const IDLE: SubchannelState = { name: 'idle' };
const CONNECTING: SubchannelState = { name: 'connecting' };
const READY: SubchannelState = { name: 'ready' };
const SHUTDOWN: SubchannelState = { name: 'shutdown' };

/** A connection is leaving; how it ends will be known only then. */
const SENT_GOAWAY: ConnectionEnd = {
  cause: 'closed',
  code: ErrorCode.NO_ERROR,
  text: 'the peer closes its connections (GOAWAY) before it has answered anything',
  error: undefined,
};

/** Who is told of a {@link Subchannel}; never from inside one of its methods, nor of a stream's. */
export interface SubchannelOwner {
  /** Its state has changed. */
  onStateChanged(): void;
  /** There may be room for a stream where there was none. */
  onRoom(): void;
  /** Its last connection has ended. */
  onEmpty(): void;
}

/** Connections are made outside of any call, so that they do not keep the first call's async context alive. */
const outsideOfCalls = AsyncLocalStorage.snapshot();

/** One connection of a subchannel. */
class PooledConnection implements ConnectionOwner {
  readonly connection: ClientConnection;
  readonly startedAt = performance.now();
  readonly lane: Lane;
  /** Whose streams have been opened on it. */
  readonly clients = new Set<ClientShare>();
  lastClient: ClientShare | undefined;
  /** `spared`: no stream is opened on it where there is any other. */
  phase: 'connecting' | 'ready' | 'spared' | 'going away' = 'connecting';
  /** A stream has been opened since the last sweep, and how many sweeps there were without any. */
  used = true;
  idleSweeps = 0;
  readonly #subchannel: Subchannel;

  constructor(subchannel: Subchannel, dialer: Dialer, lane: Lane) {
    this.#subchannel = subchannel;
    this.lane = lane;
    this.connection = outsideOfCalls(() => dialer.dial(this));
  }

  forgetClients(): void {
    this.clients.clear();
    this.lastClient = undefined;
  }

  onReady(): void {
    this.#subchannel.onReady(this);
  }

  onRoom(): void {
    this.#subchannel.onRoom();
  }

  onGoingAway(bySelf: boolean): void {
    this.#subchannel.onGoingAway(this, bySelf);
  }

  onEnded(end: ConnectionEnd): void {
    this.#subchannel.onEnded(this, end);
  }
}

/**
 * The connections to one address: made when they are needed, one more when the peer's SETTINGS_MAX_CONCURRENT_STREAMS
 * leaves no room on those that there are, and fewer when they are not used.
 */
export class Subchannel {
  state: SubchannelState = IDLE;
  readonly #dialer: Dialer;
  readonly #limits: ChannelLimits;
  readonly #sweepMilliseconds: number;
  readonly #lanes: Lanes;
  readonly #owner: SubchannelOwner;
  readonly #connections = new Set<PooledConnection>();
  /** The one that had room last. */
  #current: PooledConnection | undefined;
  /** The one that is being made. */
  #attempt: PooledConnection | undefined;
  /** The one that was made last. */
  #newest: PooledConnection | undefined;
  #refusedGrowthAt = Number.NEGATIVE_INFINITY;
  #sweepTimer: NodeJS.Timeout | undefined;

  constructor(dialer: Dialer, limits: ChannelLimits, owner: SubchannelOwner) {
    this.#dialer = dialer;
    this.#limits = limits;
    this.#sweepMilliseconds = Math.min(SWEEP_MILLISECONDS, limits.idleTimeoutMilliseconds / 2);
    this.#owner = owner;
    this.#lanes = new Lanes(limits.maxConnections);
  }

  /** How long {@link connect} will still do nothing for a client, in milliseconds. */
  backoffMilliseconds(client: ClientShare): number {
    return Math.max(this.#lanes.of(client).backoff.remaining, this.#noStreamsMilliseconds);
  }

  /** What a peer does not allow on one connection it will hardly allow on the next. */
  get #noStreamsMilliseconds(): number {
    const newest = this.#newest;
    if (newest?.phase !== 'ready' || newest.connection.maxConcurrentStreams > 0) return 0;
    return Math.max(0, newest.startedAt + NO_STREAMS_GROWTH_MILLISECONDS - performance.now());
  }

  /** A client's part in the connections. */
  shareOf(client: Account): ClientShare {
    return this.#lanes.shareOf(client);
  }

  /** The lane that a client's next stream belongs to: clients of one find room, or do not, alike. */
  laneOf(client: ClientShare): Lane {
    return this.#lanes.of(client);
  }

  /** Whether there is more than one lane. */
  get hasLanes(): boolean {
    return this.#lanes.areUsed;
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  /** A connection with room for a stream of a client, if there is one, other than `refused`. */
  pick(client: ClientShare, refused?: ClientConnection): ClientConnection | undefined {
    const lane = this.#lanes.of(client);
    let picked = this.#current;
    if (picked?.lane !== lane || picked.connection === refused || !picked.connection.hasRoom) {
      picked = this.#find(lane, refused);
      if (picked === undefined) return undefined;
      this.#current = picked;
    }
    picked.used = true;
    if (picked.lastClient !== client) {
      picked.lastClient = client;
      picked.clients.add(client);
    }
    return picked.connection;
  }

  #find(lane: Lane, refused: ClientConnection | undefined): PooledConnection | undefined {
    let others: PooledConnection | undefined;
    let spared: PooledConnection | undefined;
    for (const pooled of this.#connections) {
      const { phase, connection } = pooled;
      if (connection === refused || !connection.hasRoom) continue;
      if (phase === 'spared') spared = pooled;
      if (phase !== 'ready') continue;
      if (pooled.lane === lane) return pooled;
      others = pooled;
    }
    // Where there can be no more, better any than none.
    if (this.#connections.size >= this.#limits.maxConnections) return others ?? spared;
    return lane.kind === 'heavy' && !this.#isComing(lane) ? others : undefined;
  }

  /** Whether a lane has, or can have, a connection in a moment. */
  #isComing(lane: Lane): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined) return lane.backoff.remaining === 0 && this.#noStreamsMilliseconds === 0;
    return attempt.lane === lane && performance.now() - attempt.startedAt < LANE_WAIT_MILLISECONDS;
  }

  /**
   * Makes one more connection, if that is of use: none is being made, there may be more, the peer allows streams at
   * all, and the backoff is over.
   *
   * @param client who it is made for; undefined: nobody yet
   */
  connect(client?: ClientShare): void {
    if (this.#attempt !== undefined || this.state.name === 'shutdown') return;
    const lane = client === undefined ? this.#lanes.shared : this.#lanes.of(client);
    if (this.#connections.size >= this.#limits.maxConnections) return;
    if (lane.backoff.remaining > 0 || this.#noStreamsMilliseconds > 0) return;
    this.#attempt = new PooledConnection(this, this.#dialer, lane);
    this.#connections.add(this.#attempt);
    if (this.state.name !== 'ready') this.#become(CONNECTING);
    // Those that have waited so long for a lane of their own take what there is.
    if (lane.kind === 'heavy') setTimeout(tellRoom, LANE_WAIT_MILLISECONDS + 1, this.#owner).unref();
  }

  /** The same, for a call that was refused, perhaps on all connections that there are. */
  connectForRefused(client: ClientShare): void {
    const now = performance.now();
    if (this.state.name === 'ready' && now - this.#refusedGrowthAt < REFUSED_GROWTH_MILLISECONDS) return;
    this.#refusedGrowthAt = now;
    this.connect(client);
  }

  /** Takes no more streams; connections close as theirs end. */
  shutDown(): void {
    this.#become(SHUTDOWN);
    for (const { phase, connection } of this.#connections) {
      if (phase === 'connecting') connection.destroy();
      else connection.shutDown();
    }
  }

  /** Closes all connections at once. */
  destroy(): void {
    this.#become(SHUTDOWN);
    for (const { connection } of this.#connections) connection.destroy();
  }

  onReady(pooled: PooledConnection): void {
    this.#attempt = undefined;
    this.#newest = pooled;
    if (this.state.name === 'shutdown') {
      pooled.connection.shutDown();
      return;
    }
    pooled.phase = 'ready';
    this.#sweepTimer ??= setInterval(() => this.#sweep(), this.#sweepMilliseconds).unref();
    this.#become(READY);
    this.#owner.onRoom();
  }

  onRoom(): void {
    this.#owner.onRoom();
  }

  onGoingAway(pooled: PooledConnection, bySelf: boolean): void {
    const { phase } = pooled;
    if (phase !== 'ready' && phase !== 'spared') return;
    pooled.phase = bySelf ? 'spared' : 'going away';
    if (phase === 'spared') return;
    if (bySelf) this.#retire(pooled);
    else this.#leave(pooled, SENT_GOAWAY);
  }

  onEnded(pooled: PooledConnection, end: ConnectionEnd): void {
    const { phase } = pooled;
    if (isBroken(end)) this.#lanes.split(pooled.clients);
    this.#connections.delete(pooled);
    if (this.#newest === pooled) this.#newest = undefined;
    if (this.#connections.size === 0) {
      clearInterval(this.#sweepTimer);
      this.#sweepTimer = undefined;
    }
    if (phase === 'connecting') {
      this.#attempt = undefined;
      pooled.lane.backoff.onFailure(pooled.startedAt);
      this.#settle({ name: 'failed', end, wasReady: false });
    } else if (phase === 'ready') {
      this.#leave(pooled, end);
    }
    // A place under maxConnections has become free.
    this.#owner.onRoom();
    if (this.#connections.size === 0) this.#owner.onEmpty();
  }

  /** A connection takes no more streams. */
  #leave(pooled: PooledConnection, end: ConnectionEnd): void {
    if (this.#current === pooled) this.#current = undefined;
    const { lane, startedAt } = pooled;
    const isUseful = pooled.connection.hasAnswered;
    // Whoever made a backend break the protocol may do so again, and again.
    if (isUseful && !(lane.kind === 'suspect' && isBroken(end))) {
      lane.backoff.reset();
      lane.mayRedial = true;
      lane.farewells = 0;
    } else if (lane.mayRedial) {
      lane.mayRedial = false;
    } else if (end === SENT_GOAWAY && lane.farewells < MAX_FAREWELLS) {
      lane.farewells++;
      lane.backoff.space(startedAt, FAREWELL_MILLISECONDS);
      // Calls wait for the next one.
      this.#settle(IDLE);
      return;
    } else {
      lane.backoff.onFailure(startedAt);
    }
    this.#settle(lane.backoff.remaining > 0 ? { name: 'failed', end, wasReady: true } : IDLE);
  }

  /** A connection is not used any more, which is no failure of the backend's. */
  #retire(pooled: PooledConnection): void {
    if (this.#current === pooled) this.#current = undefined;
    this.#settle(IDLE);
  }

  /** Without a usable connection it becomes `otherwise`. */
  #settle(otherwise: SubchannelState): void {
    if (this.state.name === 'shutdown') return;
    for (const { phase } of this.#connections) if (phase === 'ready') return;
    this.#become(this.#attempt === undefined ? otherwise : CONNECTING);
  }

  #become(state: SubchannelState): void {
    if (this.state === state || this.state.name === 'shutdown') return;
    this.state = state;
    process.nextTick(tellStateChanged, this.#owner);
  }

  #sweep(): void {
    let ready = 0;
    for (const { phase } of this.#connections) if (phase === 'ready') ready++;
    for (const pooled of this.#connections) {
      if (pooled.phase !== 'ready') continue;
      const isIdle = !pooled.used && pooled.connection.streamCount === 0;
      // Who has left must not be remembered for as long as the connection lives.
      if (isIdle || pooled.clients.size > MAX_CLIENTS) pooled.forgetClients();
      pooled.used = false;
      pooled.idleSweeps = isIdle ? pooled.idleSweeps + 1 : 0;
      const idleSweeps = this.#limits.idleTimeoutMilliseconds / this.#sweepMilliseconds;
      if (pooled.idleSweeps < (ready > 1 ? Math.min(SURPLUS_SWEEPS, idleSweeps) : idleSweeps)) continue;
      ready--;
      pooled.phase = 'going away';
      pooled.connection.shutDown();
      this.#retire(pooled);
    }
  }
}

function isBroken({ cause }: ConnectionEnd): boolean {
  return cause === 'protocol' || cause === 'goaway';
}

function tellRoom(owner: SubchannelOwner): void {
  owner.onRoom();
}

function tellStateChanged(owner: SubchannelOwner): void {
  owner.onStateChanged();
}
