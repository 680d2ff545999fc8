import type { AddressState, ConnectivityStateName } from '../client/channel/connectivity.js';
import type { LoadBalancing } from '../client/channel/load-balancing.js';
import type { ClientConn } from '../client/client-conn.js';
import { cut } from './statistics/texts.js';

/** A backend in `/backends`. */
export interface BackendJson {
  /** As the config, or the {@link NamedBackend}, has it. */
  readonly name: string;
  /** What it was dialled by. */
  readonly target: string;
  /** How calls are spread over its addresses. */
  readonly loadBalancing: LoadBalancing;
  /** Whether it can be reached. */
  readonly state: ConnectivityStateName;
  /** Those that the target is known to have; none before it is resolved. */
  readonly addresses: readonly AddressJson[];
}

/** An address of a backend in `/backends`. */
export interface AddressJson {
  /** `HOST:PORT` or `unix:/PATH`. */
  readonly address: string;
  /** Whether it can be reached. */
  readonly state: ConnectivityStateName;
  /** How many connections there are to it. */
  readonly connections: number;
  /** How many calls run on these. */
  readonly calls: number;
  /** It is left out for a while, since its calls fail. */
  readonly ejected: boolean;
  /** What the last connection failed by, or was lost by, which may be long ago; null if none was. */
  readonly lastError: string | null;
  /** When that was: RFC 3339, in UTC, with milliseconds. */
  readonly lastErrorAt: string | null;
}

/** A backend's name, the connections to it, and what cannot be seen by these. */
export type NamedBackend = readonly [
  name: string,
  conn: ClientConn,
  options?: {
    /** What it was dialled with; default `round_robin`. */
    readonly loadBalancing?: LoadBalancing | undefined;
  },
];

/** Backends as they stand, for {@link AdminSource.backends}. */
export function backendsJson(backends: Iterable<NamedBackend>): BackendJson[] {
  return Array.from(backends, ([name, conn, options]) => ({
    name,
    target: conn.target,
    loadBalancing: options?.loadBalancing ?? 'round_robin',
    state: conn.state.name,
    addresses: conn.addresses.map(addressJson),
  }));
}

function addressJson(address: AddressState): AddressJson {
  const { lastFailure } = address;
  return {
    address: address.address,
    state: address.state.name,
    connections: address.connections,
    calls: address.calls,
    ejected: address.isEjected,
    lastError: lastFailure === undefined ? null : cut(lastFailure.text),
    lastErrorAt: lastFailure === undefined ? null : new Date(lastFailure.at).toISOString(),
  };
}

/** What says most about a backend that several processes have connections to, first. */
const BY_IMPORTANCE: readonly ConnectivityStateName[] = [
  'READY',
  'TRANSIENT_FAILURE',
  'CONNECTING',
  'IDLE',
  'SHUTDOWN',
];

/**
 * The backends of several processes, as of one: connections and calls are sums; a backend is READY where one process has a
 * connection.
 */
export function mergeBackends(lists: readonly (readonly BackendJson[])[]): BackendJson[] {
  return merged(
    lists.flat(),
    ({ name }) => name,
    (a, b) => ({
      ...a,
      state: moreImportant(a.state, b.state),
      addresses: merged([...a.addresses, ...b.addresses], ({ address }) => address, mergedAddresses),
    }),
  );
}

function mergedAddresses(a: AddressJson, b: AddressJson): AddressJson {
  const { lastError, lastErrorAt } = (a.lastErrorAt ?? '') >= (b.lastErrorAt ?? '') ? a : b;
  return {
    address: a.address,
    state: moreImportant(a.state, b.state),
    connections: a.connections + b.connections,
    calls: a.calls + b.calls,
    ejected: a.ejected || b.ejected,
    lastError,
    lastErrorAt,
  };
}

function moreImportant(a: ConnectivityStateName, b: ConnectivityStateName): ConnectivityStateName {
  return BY_IMPORTANCE.indexOf(a) <= BY_IMPORTANCE.indexOf(b) ? a : b;
}

function merged<T>(all: readonly T[], nameOf: (one: T) => string, merge: (a: T, b: T) => T): T[] {
  const byName = new Map<string, T>();
  for (const one of all) {
    const known = byName.get(nameOf(one));
    byName.set(nameOf(one), known === undefined ? one : merge(known, one));
  }
  return [...byName.values()];
}
