import { formatAddress } from '../../port/address.js';
import type { ClientConnection } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { BackendAddress } from '../../port/target.js';
import type { Backend } from './backend.js';
import { Balancer, leastRequest, roundRobin } from './balancer.js';
import type { ChannelLimits } from './channel-limits.js';
import type { AddressState, ConnectionCounts } from './connectivity.js';
import { Endpoint, type EndpointOwner } from './endpoint.js';
import type { ClientShare, Lanes } from './lanes.js';
import { OutlierDetection } from './outlier-detection.js';
import { inTurns, PickFirst } from './pick-first.js';
import type { PickedConnection, Picker } from './picker.js';
import { Resolver, type ResolverOwner } from './resolver.js';
import { CONNECTING, IDLE, type SubchannelState } from './subchannel-state.js';
import { connectivityOf, failureOf } from './told-state.js';

/** Who is told of {@link Endpoints}; never from inside one of their methods, nor of a stream's. */
export interface EndpointsOwner {
  onStateChanged(): void;
  /** There may be room for a stream where there was none. */
  onRoom(): void;
  /** The last connection has ended. */
  onEmpty(): void;
}

/** What chooses among several addresses. */
interface Policy extends Picker {
  /** These are the addresses now, in the order in which they are to be tried. */
  update(endpoints: readonly Endpoint[]): void;
  /** The state of one of them has changed. */
  onChanged(endpoint: Endpoint): void;
  /** Leaves nothing behind. */
  stop(): void;
}

/** The addresses of a backend, which may change, and the policy by which calls are spread over them. */
export class Endpoints implements Picker, EndpointOwner, ResolverOwner {
  readonly #backend: Backend;
  readonly #limits: ChannelLimits;
  readonly #lanes: Lanes;
  readonly #owner: EndpointsOwner;
  readonly #resolver: Resolver;
  #endpoints = new Map<string, Endpoint>();
  /** Those that the backend has no more, while calls run there. */
  readonly #leaving = new Set<Endpoint>();
  /** Where there are several. */
  #policy: Policy | undefined;
  /** The only address, or the policy; undefined: no address is known yet, which {@link #unresolved} says more of. */
  #picker: Picker | undefined;
  #unresolved: SubchannelState = IDLE;
  #connectionFailures = 0;
  #ejections = 0;

  constructor(backend: Backend, limits: ChannelLimits, lanes: Lanes, owner: EndpointsOwner) {
    this.#backend = backend;
    this.#limits = limits;
    this.#lanes = lanes;
    this.#owner = owner;
    this.#resolver = new Resolver(backend.targets, limits.resolutionIntervalMilliseconds, this);
    if (!this.#resolver.hasNames) this.#take(this.#resolver.known);
  }

  get state(): SubchannelState {
    return this.#picker === undefined ? this.#unresolved : this.#picker.state;
  }

  get addresses(): AddressState[] {
    return Array.from(this.#endpoints.values(), (endpoint) => this.#stateOf(endpoint));
  }

  #stateOf({ address, state, connectionCount, calls, isEjected, lastFailure }: Endpoint): AddressState {
    const { name } = this.#backend;
    return {
      address: formatAddress(address.address),
      state: connectivityOf(state, name),
      connections: connectionCount,
      calls,
      isEjected,
      lastFailure: lastFailure && {
        text: failureOf(lastFailure, name).error.message,
        at: lastFailure.at,
      },
    };
  }

  get counts(): ConnectionCounts {
    return { connectionFailures: this.#connectionFailures, ejections: this.#ejections };
  }

  get areEmpty(): boolean {
    for (const { connectionCount } of this.#endpoints.values()) if (connectionCount > 0) return false;
    return this.#leaving.size === 0;
  }

  /** Without connections nobody needs to know what the addresses are by now. */
  get needsAddresses(): boolean {
    return !this.areEmpty;
  }

  pick(client: ClientShare, refused?: ClientConnection): PickedConnection | undefined {
    return this.#picker?.pick(client, refused);
  }

  connect(client?: ClientShare): void {
    if (this.#picker !== undefined) {
      this.#resolver.wake();
      this.#picker.connect(client);
    } else if (this.#unresolved.name !== 'connecting' && this.#resolver.waitMilliseconds === 0) {
      this.#unresolved = CONNECTING;
      this.#resolver.resolve();
      process.nextTick(tellStateChanged, this.#owner);
    }
  }

  connectForRefused(client: ClientShare): void {
    this.#picker?.connectForRefused(client);
  }

  backoffMilliseconds(client: ClientShare): number {
    return this.#picker === undefined
      ? this.#resolver.waitMilliseconds
      : this.#picker.backoffMilliseconds(client);
  }

  nextAttemptMilliseconds(client: ClientShare): number {
    if (this.#picker !== undefined) return this.#picker.nextAttemptMilliseconds(client);
    const wait = this.#resolver.waitMilliseconds;
    return wait > 0 && this.#unresolved.name !== 'connecting' ? wait : Number.POSITIVE_INFINITY;
  }

  /** Takes no more streams; connections close as theirs end. */
  shutDown(): void {
    this.#stop();
    for (const endpoint of this.#endpoints.values()) endpoint.shutDown();
  }

  /** Closes all connections at once. */
  destroy(): void {
    this.#stop();
    for (const endpoint of [...this.#endpoints.values(), ...this.#leaving]) endpoint.destroy();
  }

  onAddresses(addresses: readonly BackendAddress[]): void {
    const isAwaited = this.#picker === undefined;
    this.#take(addresses);
    if (isAwaited) this.connect();
    this.#owner.onStateChanged();
  }

  onResolutionFailed(text: string, error: Error): void {
    if (this.#picker !== undefined) return;
    const end: ConnectionEnd = { cause: 'connect', code: ErrorCode.NO_ERROR, text, error };
    this.#unresolved = { name: 'failed', end, wasReady: false };
    this.#owner.onStateChanged();
  }

  onEndpointChanged(endpoint: Endpoint): void {
    const { name } = endpoint.state;
    // The backend has it no more, or the channel is closed.
    if (name === 'shutdown') return;
    this.#policy?.onChanged(endpoint);
    // The backend may be elsewhere by now.
    if (name === 'idle' || name === 'failed') this.#resolver.resolve();
    this.#owner.onStateChanged();
  }

  onRoom(): void {
    this.#owner.onRoom();
  }

  onConnectionFailed(): void {
    this.#connectionFailures++;
  }

  onEndpointEmpty(): void {
    for (const endpoint of this.#leaving) if (endpoint.connectionCount === 0) this.#leaving.delete(endpoint);
    if (this.areEmpty) this.#owner.onEmpty();
  }

  #take(addresses: readonly BackendAddress[]): void {
    const before = this.#endpoints;
    this.#endpoints = new Map();
    for (const address of inTurns(addresses)) {
      const key = JSON.stringify(address);
      if (!this.#endpoints.has(key)) this.#endpoints.set(key, before.get(key) ?? this.#create(address));
    }
    this.#choose([...this.#endpoints.values()]);
    for (const [key, endpoint] of before) if (!this.#endpoints.has(key)) this.#leave(endpoint);
  }

  #create(address: BackendAddress): Endpoint {
    const { authority, watchHealth } = this.#backend;
    const dialer = this.#backend.dialerOf(address);
    return new Endpoint(address, authority, dialer, this.#limits, this.#lanes, watchHealth, this);
  }

  #leave(endpoint: Endpoint): void {
    this.#leaving.add(endpoint);
    endpoint.shutDown();
    if (endpoint.connectionCount === 0) this.#leaving.delete(endpoint);
  }

  #choose(endpoints: readonly Endpoint[]): void {
    if (endpoints.length === 1) {
      this.#policy?.stop();
      this.#policy = undefined;
      this.#picker = endpoints[0];
    } else {
      this.#policy ??= this.#createPolicy();
      this.#policy.update(endpoints);
      this.#picker = this.#policy;
    }
  }

  #createPolicy(): Policy {
    const { loadBalancing, ejectsOutliers } = this.#backend;
    if (loadBalancing === 'pick_first') return new PickFirst();
    const order = loadBalancing === 'round_robin' ? roundRobin() : leastRequest();
    if (!ejectsOutliers) return new Balancer(order, undefined);
    const outliers = new OutlierDetection({
      onEjected: () => {
        this.#ejections++;
      },
      onChanged: () => balancer.onChanged(),
    });
    const balancer = new Balancer(order, outliers);
    return balancer;
  }

  #stop(): void {
    this.#resolver.stop();
    this.#policy?.stop();
  }
}

function tellStateChanged(owner: EndpointsOwner): void {
  owner.onStateChanged();
}
