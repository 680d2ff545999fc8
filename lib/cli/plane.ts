import type { BackendJson, CallJson, StatisticsSnapshot } from '../admin/index.js';
import type { MetricsSnapshot } from '../observe/metrics/index.js';
import type { Settings } from './settings.js';

/** What takes the calls of the command: this process, or workers of it. */
export interface Plane {
  /** Resolves, when it listens, with the addresses. @throws Error that says what is wrong; then nothing is left of it */
  start(): Promise<readonly string[]>;
  /** Goes on by these settings, from the next call on; what cannot change while it listens stays. */
  apply(settings: Settings): Promise<void>;
  /** As it stands, each process by itself. */
  look(): Promise<readonly PlaneSnapshot[]>;
  /** Its metrics, what has ended included. */
  metrics(): Promise<MetricsSnapshot | undefined>;
  /** Why it takes no calls, if that is so. */
  readonly trouble: string | undefined;
  /** Opens log files anew. */
  reopenLogs(): Promise<void>;
  /** Replaces its processes one after the other; undefined where there is one alone. */
  readonly restart: (() => Promise<void>) | undefined;
  /** Lets running calls finish, for so long; resolves with the number of those that were ended then. */
  drain(timeoutMilliseconds: number): Promise<number>;
}

/** What one process tells the admin endpoint. */
export interface PlaneSnapshot {
  readonly backends: readonly BackendJson[];
  readonly calls: readonly CallJson[];
  readonly statistics: StatisticsSnapshot | undefined;
}
