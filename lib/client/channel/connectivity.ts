import type { StatusError } from '../../grpc/status.js';

/** The states of gRPC's connectivity-semantics-and-api.md; {@link ConnectivityState} says what each means. */
export type ConnectivityStateName = 'IDLE' | 'CONNECTING' | 'READY' | 'TRANSIENT_FAILURE' | 'SHUTDOWN';

export const STATE_NAMES: readonly ConnectivityStateName[] = [
  'IDLE',
  'CONNECTING',
  'READY',
  'TRANSIENT_FAILURE',
  'SHUTDOWN',
];

/** Whether a backend can be reached. */
export type ConnectivityState =
  | {
      /** There is no connection; the next call makes one. */
      readonly name: 'IDLE';
    }
  | {
      /** One is being made; calls wait for it. */
      readonly name: 'CONNECTING';
    }
  | {
      /** There is one. */
      readonly name: 'READY';
    }
  | {
      /** None could be made. Calls fail at once until it is time for the next attempt. */
      readonly name: 'TRANSIENT_FAILURE';
      /** What they fail with, UNAVAILABLE, and why none could be made. */
      readonly error: StatusError;
    }
  | {
      /** It has been closed here. */
      readonly name: 'SHUTDOWN';
    };

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
  /** What went wrong last with a connection to it, of what counts as `ConnectionCounts.connectionFailures`; kept. */
  readonly lastFailure: AddressFailure | undefined;
}

/** What has gone wrong with the connections to a backend since it was dialled, at all addresses that it has had: only growing. */
export interface ConnectionCounts {
  /**
   * Attempts to make a connection that failed, however often calls waited for them, and connections that were lost: reset,
   * found dead, ended for a broken protocol or by a GOAWAY with an error, or closed by the backend without a GOAWAY. Not
   * those that it closes by GOAWAY, that are closed here, or that are given up for another address; nor names that cannot
   * be resolved.
   */
  readonly connectionFailures: number;
  /** How often an address was left out because its calls failed. */
  readonly ejections: number;
}

/** How a connection was lost, or could not be made. */
export interface AddressFailure {
  /** In the words of the calls that fail by it. */
  readonly text: string;
  /** When, in milliseconds since the epoch. */
  readonly at: number;
}

export const IDLE: ConnectivityState = { name: 'IDLE' };
export const CONNECTING: ConnectivityState = { name: 'CONNECTING' };
export const READY: ConnectivityState = { name: 'READY' };
export const SHUTDOWN: ConnectivityState = { name: 'SHUTDOWN' };
