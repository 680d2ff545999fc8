import { AsyncLocalStorage } from 'node:async_hooks';
import type { ClientConnection, ConnectionOwner, Dialer } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import { ConnectionBackoff } from './backoff.js';

/** How often connections are looked at for their use. */
const SWEEP_MILLISECONDS = 30_000;

/** Looks without a stream after which a connection closes that is not the only one: it was for a peak. */
const SURPLUS_SWEEPS = 2;

/** Looks without a stream after which the last one closes, too: 30 minutes, gRPC's GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS. */
const IDLE_SWEEPS = 60;

/**
 * How often a connection may be made because the backend refuses streams: to one that sheds load, connections are no
 * more welcome than calls.
 */
const REFUSED_GROWTH_MILLISECONDS = 1000;

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
  phase: 'connecting' | 'ready' | 'going away' = 'connecting';
  /** A stream has been opened since the last sweep, and how many sweeps there were without any. */
  used = true;
  idleSweeps = 0;
  readonly #subchannel: Subchannel;

  constructor(subchannel: Subchannel, dialer: Dialer) {
    this.#subchannel = subchannel;
    this.connection = outsideOfCalls(() => dialer.dial(this));
  }

  onReady(): void {
    this.#subchannel.onReady(this);
  }

  onRoom(): void {
    this.#subchannel.onRoom();
  }

  onGoingAway(): void {
    this.#subchannel.onGoingAway(this);
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
  readonly #maxConnections: number;
  readonly #owner: SubchannelOwner;
  readonly #connections = new Set<PooledConnection>();
  /** The one that had room last. */
  #current: PooledConnection | undefined;
  /** The one that is being made. */
  #attempt: PooledConnection | undefined;
  /** The one that was made last. */
  #newest: PooledConnection | undefined;
  readonly #backoff = new ConnectionBackoff();
  /**
   * A connection that is lost before it was of any use is made again at once, but once: a backend that accepts and
   * closes must not be dialled in a loop.
   */
  #mayRedial = true;
  #refusedGrowthAt = Number.NEGATIVE_INFINITY;
  #sweepTimer: NodeJS.Timeout | undefined;

  constructor(dialer: Dialer, maxConnections: number, owner: SubchannelOwner) {
    this.#dialer = dialer;
    this.#maxConnections = maxConnections;
    this.#owner = owner;
  }

  /** How long {@link connect} will still do nothing, in milliseconds. */
  get backoffMilliseconds(): number {
    return this.#backoff.remaining;
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  /** A connection with room for a stream, if there is one, other than `refused`. */
  pick(refused?: ClientConnection): ClientConnection | undefined {
    const current = this.#current;
    if (current?.connection.hasRoom && current.connection !== refused) {
      current.used = true;
      return current.connection;
    }
    for (const pooled of this.#connections) {
      if (pooled.phase !== 'ready' || pooled.connection === refused || !pooled.connection.hasRoom) continue;
      this.#current = pooled;
      pooled.used = true;
      return pooled.connection;
    }
    return undefined;
  }

  /**
   * Makes one more connection, if that is of use: none is being made, there may be more, the peer allows streams at
   * all, and the backoff is over.
   */
  connect(): void {
    if (this.#attempt !== undefined || this.state.name === 'shutdown') return;
    if (this.#connections.size >= this.#maxConnections || this.#backoff.remaining > 0) return;
    // What a peer does not allow on one connection it will not allow on the next.
    const newest = this.#newest;
    if (newest?.phase === 'ready' && newest.connection.maxConcurrentStreams === 0) return;
    this.#attempt = new PooledConnection(this, this.#dialer);
    this.#connections.add(this.#attempt);
    if (this.state.name !== 'ready') this.#become(CONNECTING);
  }

  /** The same, for a call that was refused, perhaps on all connections that there are. */
  connectForRefused(): void {
    const now = performance.now();
    if (this.state.name === 'ready' && now - this.#refusedGrowthAt < REFUSED_GROWTH_MILLISECONDS) return;
    this.#refusedGrowthAt = now;
    this.connect();
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
    this.#sweepTimer ??= setInterval(() => this.#sweep(), SWEEP_MILLISECONDS).unref();
    this.#become(READY);
    this.#owner.onRoom();
  }

  onRoom(): void {
    this.#owner.onRoom();
  }

  onGoingAway(pooled: PooledConnection): void {
    if (pooled.phase !== 'ready') return;
    pooled.phase = 'going away';
    this.#leave(pooled, SENT_GOAWAY);
  }

  onEnded(pooled: PooledConnection, end: ConnectionEnd): void {
    const { phase } = pooled;
    this.#connections.delete(pooled);
    if (this.#newest === pooled) this.#newest = undefined;
    if (this.#connections.size === 0) {
      clearInterval(this.#sweepTimer);
      this.#sweepTimer = undefined;
    }
    if (phase === 'connecting') {
      this.#attempt = undefined;
      this.#backoff.onFailure(pooled.startedAt);
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
    if (pooled.connection.hasAnswered) {
      this.#backoff.reset();
      this.#mayRedial = true;
    } else if (this.#mayRedial) {
      this.#mayRedial = false;
    } else {
      this.#backoff.onFailure(pooled.startedAt);
    }
    this.#settle(this.#backoff.remaining > 0 ? { name: 'failed', end, wasReady: true } : IDLE);
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
      pooled.used = false;
      pooled.idleSweeps = isIdle ? pooled.idleSweeps + 1 : 0;
      const most = ready > 1 ? SURPLUS_SWEEPS : IDLE_SWEEPS;
      if (pooled.idleSweeps < most) continue;
      // An idle connection that closes is no failure of the backend's.
      ready--;
      pooled.phase = 'going away';
      if (this.#current === pooled) this.#current = undefined;
      pooled.connection.shutDown();
      this.#settle(IDLE);
    }
  }
}

function tellStateChanged(owner: SubchannelOwner): void {
  owner.onStateChanged();
}
