import type { Failure } from '../../call/outcome.js';
import type { ClientConnection } from '../../port/connection.js';
import type { ClientShare } from './lanes.js';
import type { SubchannelState } from './subchannel-state.js';

/** A connection with room for a stream, as a call gets it. */
export interface PickedConnection {
  readonly connection: ClientConnection;
  /** What `:authority` says by default; undefined leaves it to the transport. */
  readonly authority: string | undefined;
  /** The call's stream has been opened on it. */
  onCallBegun(): void;
  /** The call, or this attempt at it, is over; undefined: OK. */
  onCallEnded(failure: Failure | undefined): void;
}

/** Where calls get their connections: one address, several by a policy, or nowhere yet. */
export interface Picker {
  readonly state: SubchannelState;
  /**
   * A connection with room for a stream of a client, if there is one; the stream must be opened at once.
   *
   * @param refused the one that has just refused it
   */
  pick(client: ClientShare, refused?: ClientConnection): PickedConnection | undefined;
  /**
   * Sees to it that there will be more of them, if that is of use now.
   *
   * @param client who waits for one; undefined: nobody yet
   */
  connect(client?: ClientShare): void;
  /** The same, for a call that was refused, perhaps on all connections that there are. */
  connectForRefused(client: ClientShare): void;
  /** How long {@link connect} will still do nothing for a client, in milliseconds; 0: it need not wait. */
  backoffMilliseconds(client: ClientShare): number;
  /**
   * When {@link connect} will have more to do for a client only because time has passed, in milliseconds from now;
   * Infinity: never.
   */
  nextAttemptMilliseconds(client: ClientShare): number;
}
