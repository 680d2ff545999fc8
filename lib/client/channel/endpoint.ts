import { now } from '../../call/clock.js';
import type { Failure } from '../../call/outcome.js';
import type { ClientConnection, Dialer } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import type { BackendAddress } from '../../port/target.js';
import type { ChannelLimits } from './channel-limits.js';
import type { HealthWatch, WatchHealth } from './health.js';
import type { ClientShare, Lanes } from './lanes.js';
import type { PickedConnection, Picker } from './picker.js';
import { Subchannel, type SubchannelOwner } from './subchannel.js';
import { CONNECTING, READY, type SubchannelState } from './subchannel-state.js';

/** Who is told of an {@link Endpoint}; never from inside one of its methods, nor of a stream's. */
export interface EndpointOwner {
  onEndpointChanged(endpoint: Endpoint): void;
  /** There may be room for a stream where there was none. */
  onRoom(): void;
  /** A connection to it was lost, or could not be made. */
  onConnectionFailed(): void;
  /** Its last connection has ended. */
  onEndpointEmpty(): void;
}

/** Who looks at how the calls to an address end. */
export interface EndpointWatch {
  onCallEnded(endpoint: Endpoint, failure: Failure | undefined): void;
}

/** How soon calls that wait look again at an address that is not fit for them; it is no news when it is. */
const HEALTH_MILLISECONDS = 1000;

/** One address of a backend, as those see it that choose among them. */
export class Endpoint implements Picker, SubchannelOwner {
  readonly address: BackendAddress;
  readonly authority: string | undefined;
  /** The calls that run there. */
  calls = 0;
  /** No call is sent there where there is another address: see {@link OutlierDetection}. */
  isEjected = false;
  /** The connection that was lost last, or could not be made, and when: in milliseconds since the epoch. */
  lastFailure: { readonly end: ConnectionEnd; readonly wasReady: boolean; readonly at: number } | undefined;
  /** Set where there are several addresses. */
  watch: EndpointWatch | undefined;
  readonly #owner: EndpointOwner;
  readonly #subchannel: Subchannel;
  readonly #healthWatch: HealthWatch | undefined;
  /** What the address is fit for while there are connections. */
  #health: SubchannelState = READY;

  /**
   * @param authority in place of the address's own
   * @param watchHealth undefined: what can be reached is fit for calls
   */
  constructor(
    address: BackendAddress,
    authority: string | undefined,
    dialer: Dialer,
    limits: ChannelLimits,
    lanes: Lanes,
    watchHealth: WatchHealth | undefined,
    owner: EndpointOwner,
  ) {
    this.address = address;
    this.authority = authority ?? address.authority;
    this.#owner = owner;
    this.#subchannel = new Subchannel(dialer, limits, lanes, this);
    if (watchHealth === undefined) return;
    this.#health = CONNECTING;
    this.#healthWatch = watchHealth(this.#subchannel, (health) => this.#onHealth(health));
  }

  get state(): SubchannelState {
    const { state } = this.#subchannel;
    return state.name === 'ready' ? this.#health : state;
  }

  get connectionCount(): number {
    return this.#subchannel.connectionCount;
  }

  /** Whether a connection is, or was, one to this address. */
  hasMade(connection: ClientConnection): boolean {
    return this.#subchannel.hasMade(connection);
  }

  pick(client: ClientShare, refused?: ClientConnection): PickedConnection | undefined {
    return this.#health === READY ? this.#subchannel.pick(client, refused) : undefined;
  }

  /** Returns whether a connection is being made for such a client. */
  connect(client?: ClientShare): boolean {
    return this.#isFit && this.#subchannel.connect(client);
  }

  connectForRefused(client: ClientShare): void {
    if (this.#isFit) this.#subchannel.connectForRefused(client);
  }

  backoffMilliseconds(client?: ClientShare): number {
    // It says by itself when it is fit again.
    return this.#isFit ? this.#subchannel.backoffMilliseconds(client) : HEALTH_MILLISECONDS;
  }

  /** More connections to what is not fit for calls are of no use. */
  get #isFit(): boolean {
    return this.#health === READY || this.#subchannel.state.name !== 'ready';
  }

  nextAttemptMilliseconds(client?: ClientShare): number {
    return this.#isFit ? this.#subchannel.nextAttemptMilliseconds(client) : HEALTH_MILLISECONDS;
  }

  /** Lets go of its connections for now, and tells nobody: another address is used. */
  rest(): void {
    this.#subchannel.rest();
    this.#stopWatching();
  }

  /** Takes no more streams; connections close as theirs end. */
  shutDown(): void {
    this.#subchannel.shutDown();
  }

  /** Closes all connections at once. */
  destroy(): void {
    this.#subchannel.destroy();
  }

  onCallBegun(): void {
    this.calls++;
  }

  onCallEnded(failure: Failure | undefined): void {
    this.calls--;
    this.watch?.onCallEnded(this, failure);
  }

  onStateChanged(): void {
    const { name } = this.#subchannel.state;
    if (name === 'ready') {
      this.#healthWatch?.start();
    } else {
      this.#stopWatching();
    }
    this.#owner.onEndpointChanged(this);
  }

  #stopWatching(): void {
    if (this.#healthWatch === undefined) return;
    this.#healthWatch.stop();
    this.#health = CONNECTING;
  }

  #onHealth(health: SubchannelState): void {
    if (this.#subchannel.state.name !== 'ready') return;
    this.#health = health;
    this.#owner.onEndpointChanged(this);
    if (health === READY) this.#owner.onRoom();
  }

  onRoom(): void {
    this.#owner.onRoom();
  }

  onConnectionFailed(end: ConnectionEnd, wasReady: boolean): void {
    this.lastFailure = { end, wasReady, at: now() };
    this.#owner.onConnectionFailed();
  }

  onEmpty(): void {
    this.#owner.onEndpointEmpty();
  }
}
