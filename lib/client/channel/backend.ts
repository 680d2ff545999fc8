import type { Dialer } from '../../port/connection.js';
import type { BackendAddress, Target } from '../../port/target.js';
import type { WatchHealth } from './health.js';

/**
 * How calls are spread over the addresses of a backend:
 *
 * - `pick_first`: all to the first address that can be reached;
 * - `round_robin`: to one after the other of those that can be;
 * - `least_request`: to that of two of them, chosen at random, which has fewer calls running.
 */
export type LoadBalancing = 'pick_first' | 'round_robin' | 'least_request';

export const LOAD_BALANCING: readonly LoadBalancing[] = ['pick_first', 'round_robin', 'least_request'];

/** What a channel leads to. */
export interface Backend {
  /** What messages call it. */
  readonly name: string;
  readonly targets: readonly Target[];
  /** `:authority` by default, in place of the addresses' own. */
  readonly authority: string | undefined;
  readonly loadBalancing: LoadBalancing;
  /** Undefined: all addresses that can be reached take calls. */
  readonly watchHealth: WatchHealth | undefined;
  /** Leaves out addresses whose calls fail. */
  readonly ejectsOutliers: boolean;
  dialerOf(address: BackendAddress): Dialer;
}
