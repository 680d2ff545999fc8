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
  /** Kinds of failures, at most 50: further ones take the place of those that are over, or are counted as of the method `other`. */
  readonly failures: readonly FailureKind[];
  /** Of shadows, and of secondaries that went on after their calls. */
  readonly targets: readonly TargetStatistics[];
}

/** What is told of the calls of one route and method. */
export interface MethodStatistics {
  /** The name that its director gave; null if it gave none, or there was no director. */
  readonly route: string | null;
  /** `/service/method`. */
  readonly method: string;
  /** Calls that have ended: all of them. */
  readonly calls: number;
  /** Those that failed, without {@link cancelled} ones. */
  readonly failed: number;
  /** Those that the client cancelled, or that were lost with its connection. */
  readonly cancelled: number;
  /** Calls that ended in this second, which goes on, in the one before, and so on; at most 61, without zeros at the end. */
  readonly callsBySecond: readonly number[];
  /** Of these the failed ones, by the same seconds. */
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
  /** Who failed it, and why, in one word. */
  readonly reason: FailureReason;
  /** The name of gRPC's code, `UNAVAILABLE`. */
  readonly code: string;
  /** The route of the calls; null if they have none. */
  readonly route: string | null;
  /** The targets whose failure it is; empty if it is no backend's. */
  readonly targets: readonly string[];
  /** Methods that it happened to: the first five of them, of a connection's failure; else one. */
  readonly methods: readonly string[];
  /** How often it came. */
  readonly count: number;
  /** The status message of the last one, cut to 200 characters. */
  readonly message: string;
  /** The age of the first. */
  readonly firstMilliseconds: number;
  /** The age of the last. */
  readonly lastMilliseconds: number;
}

/** What became of the shadows of one target, or of its secondaries that went on after their calls. */
export interface TargetStatistics {
  /** Which of these. */
  readonly role: 'shadow' | 'secondary';
  /** What they were dialled by. */
  readonly target: string;
  /** How often they ended so. */
  readonly results: Readonly<Record<ShadowResult, number>>;
  /** How often its answers were compared with the primary's, and what came of that; noise is `same`. */
  readonly compared: Readonly<Record<ComparedResult, number>>;
  /** The last time that it failed, by `error`, `lagged` or `expired`; null if it never did. */
  readonly lastFailure: Told | null;
  /** The last time that its answer differed; null if it never did. */
  readonly lastDifference: Told | null;
}

/** What came of a comparison, without noise. */
export type ComparedResult = 'same' | 'different' | 'inconclusive';

/** Something that happened. */
export interface Told {
  /** What, in words, cut to 200 characters. */
  readonly text: string;
  /** To a call of this method, `/service/method`. */
  readonly method: string;
  /** How long ago. */
  readonly milliseconds: number;
}
