import type { ClientConnection } from '../../port/connection.js';
import type { SubchannelState } from './subchannel-state.js';

/** Where a watch of an address's health gets a connection for its call, which is nobody's. */
export interface WatchedAddress {
  /** A connection that is there, on which the call does not count as use; undefined: there is none. */
  pickForWatch(): WatchedConnection | undefined;
}

/** A connection to watch health by. */
export interface WatchedConnection {
  readonly connection: ClientConnection;
  /** What `:authority` says; undefined leaves it to the transport. */
  readonly authority: string | undefined;
  /** @param onLeaving the connection takes no more streams, and must not be kept by this one */
  onCallBegun(onLeaving: () => void): void;
  onCallEnded(): void;
}

/** Watches whether an address is fit for calls. */
export interface HealthWatch {
  /** There are connections. Also where it has begun before. */
  start(): void;
  /** There are none, or no more calls. */
  stop(): void;
}

/**
 * Makes a watch of an address.
 *
 * @param onHealth told what the address is fit for while there are connections: `ready`, or `failed`; never from inside a
 *   method of the watch
 */
export type WatchHealth = (
  address: WatchedAddress,
  onHealth: (state: SubchannelState) => void,
) => HealthWatch;
