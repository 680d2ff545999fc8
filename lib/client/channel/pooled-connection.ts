import type { Failure } from '../../call/outcome.js';
import type { ClientConnection, ConnectionOwner, Dialer } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { outsideOfCalls } from '../../port/outside-of-calls.js';
import type { ClientShare, Lane } from './lanes.js';
import type { PickedConnection } from './picker.js';

/** The address that a {@link PooledConnection} is to. */
export interface PooledAddress {
  /** What `:authority` says by default there; undefined leaves it to the transport. */
  readonly authority: string | undefined;
  /** Calls to the address begin and end; also from inside a method of a stream. */
  onCallBegun(): void;
  onCallEnded(failure: Failure | undefined): void;
}

/** Who keeps {@link PooledConnection}s, and is told what becomes of each. */
export interface ConnectionPool {
  onReady(pooled: PooledConnection): void;
  onRoom(): void;
  onGoingAway(pooled: PooledConnection, bySelf: boolean): void;
  onEnded(pooled: PooledConnection, end: ConnectionEnd): void;
}

/** One connection of a subchannel. */
export class PooledConnection implements ConnectionOwner, PickedConnection {
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
  /** Set while a stream on it watches the backend's health, which is no use of it: is told when it takes no more. */
  onLeavingForWatch: (() => void) | undefined;
  readonly #pool: ConnectionPool;
  readonly #address: PooledAddress;

  constructor(pool: ConnectionPool, address: PooledAddress, dialer: Dialer, lane: Lane) {
    this.#pool = pool;
    this.#address = address;
    this.lane = lane;
    this.connection = outsideOfCalls(() => dialer.dial(this));
  }

  get authority(): string | undefined {
    return this.#address.authority;
  }

  onCallBegun(): void {
    this.#address.onCallBegun();
  }

  onCallEnded(failure: Failure | undefined): void {
    this.#address.onCallEnded(failure);
  }

  forgetClients(): void {
    this.clients.clear();
    this.lastClient = undefined;
  }

  onReady(): void {
    this.#pool.onReady(this);
  }

  onRoom(): void {
    this.#pool.onRoom();
  }

  onGoingAway(bySelf: boolean): void {
    this.#pool.onGoingAway(this, bySelf);
  }

  onEnded(end: ConnectionEnd): void {
    this.#pool.onEnded(this, end);
  }
}
