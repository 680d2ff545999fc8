import { warn } from '../../call/hooks.js';
import type {
  AddressState,
  ConnectivityState,
  ConnectivityStateName,
} from '../../client/channel/connectivity.js';
import { counter, type Family, gauge, type Series } from './family.js';

/** What metrics look at of a `ClientConn`. */
export interface ObservedBackend {
  /** Whether it can be reached. */
  readonly state: ConnectivityState;
  /** Those that its target is known to have. */
  readonly addresses: readonly AddressState[];
  /** Numbers that only grow. */
  readonly counts: {
    /** Connections that could not be made, or were lost. */
    readonly connectionFailures: number;
    /** How often an address was left out for a while, since its calls failed. */
    readonly ejections: number;
  };
}

const STATES: readonly ConnectivityStateName[] = [
  'IDLE',
  'CONNECTING',
  'READY',
  'TRANSIENT_FAILURE',
  'SHUTDOWN',
];

/** What is told of the connections that have had one name. */
interface Totals {
  connectionFailures: number;
  ejections: number;
}

interface Tracked {
  readonly name: string;
  /** What has been added to the totals. */
  connectionFailures: number;
  ejections: number;
}

/**
 * Looks at backends when somebody asks. Those that a reload has left are looked at until they have closed, and what they
 * counted stays counted by their names.
 */
export class BackendMetrics {
  readonly #backends: () => Iterable<readonly [string, ObservedBackend]>;
  readonly #tracked = new Map<ObservedBackend, Tracked>();
  readonly #totals = new Map<string, Totals>();
  #connections: Series[] = [];

  constructor(backends: () => Iterable<readonly [string, ObservedBackend]>) {
    this.#backends = backends;
  }

  /** Looks at what {@link families} then tell. */
  look(): void {
    try {
      this.#look();
    } catch (error) {
      warn(error);
    }
  }

  families(): Family[] {
    return [
      gauge(
        'grpc_frame_proxy_backend_connections',
        'Connections to a backend, by the state of their address.',
        ['backend', 'state'],
        () => this.#connections,
      ),
      counter(
        'grpc_frame_proxy_backend_connection_failures_total',
        'Connections to a backend that could not be made, or were lost.',
        ['backend'],
        () => this.#read('connectionFailures'),
      ),
      counter(
        'grpc_frame_proxy_backend_ejections_total',
        'How often an address of a backend was left out for a while, since its calls failed.',
        ['backend'],
        () => this.#read('ejections'),
      ),
    ];
  }

  #read(which: keyof Totals): Series[] {
    return Array.from(this.#totals, ([name, totals]) => ({ labels: [name], value: totals[which] }));
  }

  #look(): void {
    const current = new Set<ObservedBackend>();
    for (const [name, conn] of this.#backends()) {
      current.add(conn);
      if (this.#tracked.has(conn)) continue;
      this.#tracked.set(conn, { name, connectionFailures: 0, ejections: 0 });
      if (!this.#totals.has(name)) this.#totals.set(name, { connectionFailures: 0, ejections: 0 });
    }
    const connections = new Map<string, Map<ConnectivityStateName, number>>();
    for (const [conn, tracked] of this.#tracked) {
      this.#count(conn, tracked);
      const { addresses } = conn;
      if (!current.has(conn) && isClosed(conn)) this.#tracked.delete(conn);
      else addConnections(connections, tracked.name, addresses);
    }
    this.#connections = [];
    for (const [name, numbers] of connections) {
      for (const [state, number] of numbers) this.#connections.push({ labels: [name, state], value: number });
    }
  }

  #count(conn: ObservedBackend, tracked: Tracked): void {
    const { connectionFailures, ejections } = conn.counts;
    const totals = this.#totals.get(tracked.name)!;
    totals.connectionFailures += connectionFailures - tracked.connectionFailures;
    totals.ejections += ejections - tracked.ejections;
    tracked.connectionFailures = connectionFailures;
    tracked.ejections = ejections;
  }
}

function isClosed({ state, addresses }: ObservedBackend): boolean {
  return state.name === 'SHUTDOWN' && addresses.every(({ connections }) => connections === 0);
}

function addConnections(
  all: Map<string, Map<ConnectivityStateName, number>>,
  name: string,
  addresses: readonly AddressState[],
): void {
  let numbers = all.get(name);
  if (numbers === undefined) {
    numbers = new Map(STATES.map((state) => [state, 0]));
    all.set(name, numbers);
  }
  for (const { state, connections } of addresses) {
    numbers.set(state.name, numbers.get(state.name)! + connections);
  }
}
