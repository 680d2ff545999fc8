import type { Dialer } from '../../port/connection.js';
import type { BackendAddress, Target } from '../../port/target.js';
import type { WatchHealth } from './health.js';
import type { LoadBalancing } from './load-balancing.js';

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
