import type { FailureReason, ShadowResult } from '../../call/outcome.js';
import type { BucketCounts } from './latencies.js';

/**
 * What one process, or several, have counted of their calls: plain JSON. Times are ages, in milliseconds before the
 * snapshot was taken, so that snapshots of processes can be merged whose clocks differ.
 */
export interface StatisticsSnapshot {
  /** Since it is counted. */
  readonly ageMilliseconds: number;
  /** Calls that have begun since then and not ended. */
  readonly running: number;
  /** By route and method; what has no place of its own is in the one whose method is `other`. */
  readonly methods: readonly MethodStatistics[];
  readonly failures: readonly FailureKind[];
  /** Of shadows, and of secondaries that went on after their calls. */
  readonly targets: readonly TargetStatistics[];
}

/** What is told of the calls of one route and method. */
export interface MethodStatistics {
  readonly route: string | null;
  /** `/service/method`. */
  readonly method: string;
  /** Calls that have ended: all of them. */
  readonly calls: number;
  /** Those that failed, but for those that the client cancelled or that were lost with its connection. */
  readonly failed: number;
  /** These. */
  readonly cancelled: number;
  /** Calls that ended in this second, which goes on, in the one before, and so on; at most 61, without zeros at the end. */
  readonly callsBySecond: readonly number[];
  readonly failedBySecond: readonly number[];
  /** How long they took: of these five seconds, which go on, of those before, and so on; at most 13. */
  readonly latenciesBySlot: readonly BucketCounts[];
}

/** Failures of one kind, which have come with no pause of over five minutes. */
export interface FailureKind {
  /**
   * `failed`: calls failed by it. `ignored`: they did not, since an error handler said so; it is a secondary's failure.
   */
  readonly effect: 'failed' | 'ignored';
  readonly reason: FailureReason;
  /** The name of gRPC's code, `UNAVAILABLE`. */
  readonly code: string;
  readonly route: string | null;
  /** The targets whose failure it is; empty if it is no backend's. */
  readonly targets: readonly string[];
  /** Methods that it happened to: the first five of them, of a connection's failure; else one. */
  readonly methods: readonly string[];
  readonly count: number;
  /** Of the last one. */
  readonly message: string;
  /** Since the first. */
  readonly firstMilliseconds: number;
  /** And the last. */
  readonly lastMilliseconds: number;
}

/** What became of shadows of one target. */
export interface TargetStatistics {
  readonly role: 'shadow' | 'secondary';
  readonly target: string;
  readonly results: Readonly<Record<ShadowResult, number>>;
  /** How often its answers were compared with the primary's, and what came of that; noise is `same`. */
  readonly compared: Readonly<Record<ComparedResult, number>>;
  /** The last time that it did not answer OK, or that its answer differed. */
  readonly lastFailure: Told | null;
  readonly lastDifference: Told | null;
}

export type ComparedResult = 'same' | 'different' | 'inconclusive';

/** Something that happened. */
export interface Told {
  readonly text: string;
  readonly method: string;
  readonly milliseconds: number;
}
