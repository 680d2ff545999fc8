import type { Failure } from '../call/outcome.js';
import type { Account } from '../port/account.js';
import type { ClientConnection } from '../port/connection.js';
import type { ConnectivityState } from './channel/connectivity.js';
import type { ClientShare } from './channel/lanes.js';
import type { PickedConnection } from './channel/picker.js';
import type { WaitingCall } from './channel/waiting-calls.js';

/** Where calls go. A `ClientConn` is one; so is what leads to one of a backend's addresses alone. */
export interface CallRoute {
  /** What messages call it. */
  readonly target: string;
  /** `:scheme` of requests. */
  readonly scheme: 'http' | 'https';
  readonly channel: CallChannel;
  /** Whether requests carry the `:authority` that the client asked for, unless the call's options say another. */
  readonly preservesAuthority?: boolean;
}

/** Where the calls of a {@link CallRoute} get their connections; a `Channel`, or less than one. */
export interface CallChannel {
  readonly state: ConnectivityState;
  /** A client's part in the connections, by which its calls are told from others'. */
  shareOf(client: Account): ClientShare;
  /** A call begins; returns why it can't. Each that can {@link end}s once. */
  begin(): Failure | undefined;
  /** It is over. */
  end(): void;
  /** A connection with room for a stream, unless others wait for one; the stream must be opened at once. */
  pick(client: ClientShare): PickedConnection | undefined;
  /** Lets a call wait for a connection; returns why it can't. */
  wait(call: WaitingCall): Failure | undefined;
  /** Lets a call wait whose stream has come to nothing on a connection: for another, for a while. */
  waitRefused(call: WaitingCall, by: ClientConnection): Failure | undefined;
  /** Lets a call wait that its backend has failed: for so many milliseconds, and then for a connection. */
  backOff(call: WaitingCall, milliseconds: number): void;
  /** The call waits no longer, if it did. */
  stopWaiting(call: WaitingCall): void;
}
