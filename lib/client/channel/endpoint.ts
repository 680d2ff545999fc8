import type { Failure } from '../../call/outcome.js';
import type { ClientConnection, Dialer } from '../../port/connection.js';
import type { BackendAddress } from '../../port/target.js';
import type { ChannelLimits } from './channel-limits.js';
import type { ClientShare, Lanes } from './lanes.js';
import type { PickedConnection, Picker } from './picker.js';
import { Subchannel, type SubchannelOwner } from './subchannel.js';
import type { SubchannelState } from './subchannel-state.js';

/** Who is told of an {@link Endpoint}; never from inside one of its methods, nor of a stream's. */
export interface EndpointOwner {
  onEndpointChanged(endpoint: Endpoint): void;
  /** There may be room for a stream where there was none. */
  onRoom(): void;
  /** Its last connection has ended. */
  onEndpointEmpty(): void;
}

/** Who looks at how the calls to an address end. */
export interface EndpointWatch {
  onCallEnded(endpoint: Endpoint, failure: Failure | undefined): void;
}

/** One address of a backend, as those see it that choose among them. */
export class Endpoint implements Picker, SubchannelOwner {
  readonly address: BackendAddress;
  readonly authority: string | undefined;
  /** The calls that run there. */
  calls = 0;
  /** No call is sent there where there is another address: see {@link OutlierDetection}. */
  isEjected = false;
  /** Set where there are several addresses. */
  watch: EndpointWatch | undefined;
  readonly #owner: EndpointOwner;
  readonly #subchannel: Subchannel;

  /** @param authority in place of the address's own */
  constructor(
    address: BackendAddress,
    authority: string | undefined,
    dialer: Dialer,
    limits: ChannelLimits,
    lanes: Lanes,
    owner: EndpointOwner,
  ) {
    this.address = address;
    this.authority = authority ?? address.authority;
    this.#owner = owner;
    this.#subchannel = new Subchannel(dialer, limits, lanes, this);
  }

  get state(): SubchannelState {
    return this.#subchannel.state;
  }

  get connectionCount(): number {
    return this.#subchannel.connectionCount;
  }

  pick(client: ClientShare, refused?: ClientConnection): PickedConnection | undefined {
    return this.#subchannel.pick(client, refused);
  }

  connect(client?: ClientShare): void {
    this.#subchannel.connect(client);
  }

  connectForRefused(client: ClientShare): void {
    this.#subchannel.connectForRefused(client);
  }

  backoffMilliseconds(client?: ClientShare): number {
    return this.#subchannel.backoffMilliseconds(client);
  }

  /** Lets go of its connections for now: another address is used. */
  rest(): void {
    this.#subchannel.rest();
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
    this.#owner.onEndpointChanged(this);
  }

  onRoom(): void {
    this.#owner.onRoom();
  }

  onEmpty(): void {
    this.#owner.onEndpointEmpty();
  }
}
