import type { StatusError } from '../../grpc/status.js';

/** The states of gRPC's connectivity-semantics-and-api.md. */
export type ConnectivityStateName = 'IDLE' | 'CONNECTING' | 'READY' | 'TRANSIENT_FAILURE' | 'SHUTDOWN';

/** Whether a backend can be reached. */
export type ConnectivityState =
  /** There is no connection; the next call makes one. */
  | { readonly name: 'IDLE' }
  /** One is being made; calls wait for it. */
  | { readonly name: 'CONNECTING' }
  /** There is one. */
  | { readonly name: 'READY' }
  /** None could be made. Calls fail at once with `error`, UNAVAILABLE, until it is time for the next attempt. */
  | { readonly name: 'TRANSIENT_FAILURE'; readonly error: StatusError }
  /** It has been closed here. */
  | { readonly name: 'SHUTDOWN' };

/** One address of a backend, as it stands. */
export interface AddressState {
  /** `HOST:PORT` or `unix:/PATH`. */
  readonly address: string;
  /** Whether it can be reached. */
  readonly state: ConnectivityState;
  /** The connections to it, those that are being made or end included. */
  readonly connections: number;
  /** The calls that run there. */
  readonly calls: number;
  /** It is left out for a while, since its calls fail. */
  readonly isEjected: boolean;
}

export const IDLE: ConnectivityState = { name: 'IDLE' };
export const CONNECTING: ConnectivityState = { name: 'CONNECTING' };
export const READY: ConnectivityState = { name: 'READY' };
export const SHUTDOWN: ConnectivityState = { name: 'SHUTDOWN' };
