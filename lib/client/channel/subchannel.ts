import type { ClientConnection, Dialer } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import { outsideOfCalls } from '../../port/outside-of-calls.js';
import type { ChannelLimits } from './channel-limits.js';
import type { WatchedAddress, WatchedConnection } from './health.js';
import type { ClientShare, Lane, Lanes } from './lanes.js';
import type { PickedConnection, Picker } from './picker.js';
import { type ConnectionPool, type PooledAddress, PooledConnection } from './pooled-connection.js';
import { Redial } from './redial.js';
import { CONNECTING, IDLE, READY, SHUTDOWN, type SubchannelState } from './subchannel-state.js';

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

/** How many clients a connection remembers beyond the time between two looks. */
const MAX_CLIENTS = 1000;

/** How long a client with many streams waits for a connection of its own where others have room. */
const LANE_WAIT_MILLISECONDS = 1000;

/** A connection is leaving; how it ends will be known only then. */
const SENT_GOAWAY: ConnectionEnd = {
  cause: 'closed',
  code: ErrorCode.NO_ERROR,
  text: 'the peer closes its connections (GOAWAY) before it has answered anything',
  error: undefined,
};

/** Who is told of a {@link Subchannel}; never from inside one of its methods, nor of a stream's. */
export interface SubchannelOwner extends PooledAddress {
  /** Its state has changed. */
  onStateChanged(): void;
  /** There may be room for a stream where there was none. */
  onRoom(): void;
  /** A connection has ended that was lost, or could not be made: not in order. */
  onConnectionFailed(end: ConnectionEnd, wasReady: boolean): void;
  /** Its last connection has ended. */
  onEmpty(): void;
}

/**
 * The connections to one address: made when they are needed, one more when the peer's SETTINGS_MAX_CONCURRENT_STREAMS
 * leaves no room on those that there are, and fewer when they are not used.
 */
export class Subchannel implements Picker, WatchedAddress, ConnectionPool {
  state: SubchannelState = IDLE;
  readonly #dialer: Dialer;
  readonly #limits: ChannelLimits;
  readonly #sweepMilliseconds: number;
  readonly #lanes: Lanes;
  readonly #owner: SubchannelOwner;
  readonly #connections = new Set<PooledConnection>();
  /** Those that have ended included. */
  readonly #made = new WeakSet<ClientConnection>();
  /** The one that had room last. */
  #current: PooledConnection | undefined;
  /** The one that is being made. */
  #attempt: PooledConnection | undefined;
  /** The one that was made last. */
  #newest: PooledConnection | undefined;
  readonly #redials = new Map<Lane, Redial>();
  #refusedGrowthAt = Number.NEGATIVE_INFINITY;
  #sweepTimer: NodeJS.Timeout | undefined;

  /** @param lanes of the backend's clients, the same for all its addresses */
  constructor(dialer: Dialer, limits: ChannelLimits, lanes: Lanes, owner: SubchannelOwner) {
    this.#dialer = dialer;
    this.#limits = limits;
    this.#sweepMilliseconds = Math.min(SWEEP_MILLISECONDS, limits.idleTimeoutMilliseconds / 2);
    this.#owner = owner;
    this.#lanes = lanes;
  }

  backoffMilliseconds(client?: ClientShare): number {
    return Math.max(this.#redialOf(this.#laneOf(client)).remaining, this.#noStreamsMilliseconds);
  }

  nextAttemptMilliseconds(client?: ClientShare): number {
    const backoff = this.backoffMilliseconds(client);
    return backoff > 0 ? backoff : Number.POSITIVE_INFINITY;
  }

  #laneOf(client: ClientShare | undefined): Lane {
    return client === undefined ? this.#lanes.shared : this.#lanes.of(client);
  }

  #redialOf(lane: Lane): Redial {
    let redial = this.#redials.get(lane);
    if (redial === undefined) {
      redial = new Redial();
      this.#redials.set(lane, redial);
    }
    return redial;
  }

  /** What a peer does not allow on one connection it will hardly allow on the next. */
  get #noStreamsMilliseconds(): number {
    const newest = this.#newest;
    if (newest?.phase !== 'ready' || newest.connection.maxConcurrentStreams > 0) return 0;
    return Math.max(0, newest.startedAt + NO_STREAMS_GROWTH_MILLISECONDS - performance.now());
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  /** How many connections there are, those that are being made or end included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Whether a connection is, or was, one of these. */
  hasMade(connection: ClientConnection): boolean {
    return this.#made.has(connection);
  }

  pick(client: ClientShare, refused?: ClientConnection): PickedConnection | undefined {
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
    return picked;
  }

  pickForWatch(): WatchedConnection | undefined {
    for (const pooled of this.#connections) {
      const { phase, connection } = pooled;
      if (phase !== 'ready' || !connection.hasRoom) continue;
      return {
        connection,
        authority: pooled.authority,
        onCallBegun: (onLeaving) => {
          pooled.onLeavingForWatch = onLeaving;
          connection.isWatched = true;
        },
        onCallEnded: () => {
          pooled.onLeavingForWatch = undefined;
          connection.isWatched = false;
        },
      };
    }
    return undefined;
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
    if (attempt === undefined)
      return this.#redialOf(lane).remaining === 0 && this.#noStreamsMilliseconds === 0;
    return attempt.lane === lane && performance.now() - attempt.startedAt < LANE_WAIT_MILLISECONDS;
  }

  /**
   * Makes one more connection, if that is of use: none is being made, there may be more, the peer allows streams at
   * all, and the backoff is over.
   *
   * @param client who it is made for; undefined: nobody yet
   * @returns whether one is being made for such a client
   */
  connect(client?: ClientShare): boolean {
    const lane = this.#laneOf(client);
    if (this.#attempt !== undefined) return this.#attempt.lane === lane;
    if (this.state.name === 'shutdown' || this.#connections.size >= this.#limits.maxConnections) return false;
    if (this.#redialOf(lane).remaining > 0 || this.#noStreamsMilliseconds > 0) return false;
    this.#attempt = new PooledConnection(this, this.#owner, this.#dialer, lane);
    this.#connections.add(this.#attempt);
    this.#made.add(this.#attempt.connection);
    if (this.state.name !== 'ready') this.#become(CONNECTING);
    // Those that have waited so long for a lane of their own take what there is.
    if (lane.kind === 'heavy') this.#tellRoomLater();
    return true;
  }

  #tellRoomLater(): void {
    const tell = (): void => this.#owner.onRoom();
    outsideOfCalls(() => setTimeout(tell, LANE_WAIT_MILLISECONDS + 1).unref());
  }

  /** The same, for a call that was refused, perhaps on all connections that there are. */
  connectForRefused(client: ClientShare): void {
    const now = performance.now();
    if (this.state.name === 'ready' && now - this.#refusedGrowthAt < REFUSED_GROWTH_MILLISECONDS) return;
    this.#refusedGrowthAt = now;
    this.connect(client);
  }

  /** Lets go of its connections for now, of those that are being made at once; its owner knows. */
  rest(): void {
    for (const pooled of this.#connections) {
      const { phase, connection } = pooled;
      pooled.phase = 'going away';
      if (phase === 'connecting') connection.destroy();
      else connection.shutDown();
    }
    this.#attempt = undefined;
    this.#current = undefined;
    if (this.state.name !== 'shutdown') this.state = IDLE;
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
    // It has been let go of while it was about to tell.
    if (pooled.phase !== 'connecting') return;
    this.#attempt = undefined;
    this.#newest = pooled;
    if (this.state.name === 'shutdown') {
      pooled.connection.shutDown();
      return;
    }
    pooled.phase = 'ready';
    this.#sweepTimer ??= outsideOfCalls(() =>
      setInterval(() => this.#sweep(), this.#sweepMilliseconds).unref(),
    );
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
    if (isFailure(phase, end)) this.#owner.onConnectionFailed(end, phase !== 'connecting');
    this.#connections.delete(pooled);
    if (this.#newest === pooled) this.#newest = undefined;
    if (this.#connections.size === 0) {
      clearInterval(this.#sweepTimer);
      this.#sweepTimer = undefined;
    }
    if (phase === 'connecting') {
      this.#attempt = undefined;
      this.#redialOf(pooled.lane).onFailure(pooled.startedAt);
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
    pooled.onLeavingForWatch?.();
    const { lane, startedAt } = pooled;
    const redial = this.#redialOf(lane);
    // Whoever made a backend break the protocol may do so again, and again.
    const isUseful = pooled.connection.hasAnswered && !(lane.kind === 'suspect' && isBroken(end));
    if (isUseful) redial.onUsefulLeft();
    const mayWait = isUseful || redial.onUselessLeft(startedAt, end === SENT_GOAWAY);
    this.#settle(mayWait ? IDLE : { name: 'failed', end, wasReady: true });
  }

  /** A connection is not used any more, which is no failure of the backend's. */
  #retire(pooled: PooledConnection): void {
    if (this.#current === pooled) this.#current = undefined;
    pooled.onLeavingForWatch?.();
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
      const isIdle =
        !pooled.used && pooled.connection.streamCount === (pooled.onLeavingForWatch === undefined ? 0 : 1);
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

/** Whether it did not end in order. */
function isFailure(phase: PooledConnection['phase'], { cause }: ConnectionEnd): boolean {
  switch (cause) {
    case 'local':
      return false;
    case 'connect':
    case 'settings':
      // Of an attempt that was let go of nobody needs to know.
      return phase === 'connecting';
    case 'closed':
      // "Endpoints SHOULD always send a GOAWAY frame before closing a connection" (RFC 9113 section 6.8).
      return phase !== 'going away';
    default:
      return true;
  }
}

function tellStateChanged(owner: SubchannelOwner): void {
  owner.onStateChanged();
}
