import { STATISTICS_LIMITS } from '../defaults.js';
import { identityOf } from './failure-kinds.js';
import { type BucketCounts, LatencySum, SLOT_SECONDS, SLOTS } from './latencies.js';
import { HISTORY_SECONDS } from './method-counts.js';
import type {
  FailureKind,
  MethodStatistics,
  StatisticsSnapshot,
  TargetStatistics,
  Told,
} from './snapshot.js';
import { OTHER } from './texts.js';

/**
 * The statistics of several processes, as of one: none of them has to be that of a process which still runs, and so
 * totals never fall. It is bounded as that of one process is.
 */
export function mergeStatistics(snapshots: readonly StatisticsSnapshot[]): StatisticsSnapshot {
  return {
    ageMilliseconds: Math.max(0, ...snapshots.map(({ ageMilliseconds }) => ageMilliseconds)),
    running: snapshots.reduce((sum, { running }) => sum + running, 0),
    methods: boundedMethods(merged(snapshots, ({ methods }) => methods, methodIdentity, mergedMethods)),
    failures: merged(snapshots, ({ failures }) => failures, identityOf, mergedFailures)
      .sort((a, b) => a.lastMilliseconds - b.lastMilliseconds)
      .slice(0, STATISTICS_LIMITS.maxFailures),
    targets: merged(snapshots, ({ targets }) => targets, targetIdentity, mergedTargets),
  };
}

/**
 * What the last snapshot of a process that has ended is, so much later: its totals stay, its calls run no more. Take the
 * snapshot as it was each time: ages are whole seconds.
 *
 * @param milliseconds since the snapshot was taken
 */
export function ageStatistics(snapshot: StatisticsSnapshot, milliseconds: number): StatisticsSnapshot {
  const seconds = Math.round(milliseconds / 1000);
  const older = (told: Told | null): Told | null =>
    told === null ? null : { ...told, milliseconds: told.milliseconds + milliseconds };
  return {
    ageMilliseconds: snapshot.ageMilliseconds + milliseconds,
    running: 0,
    methods: snapshot.methods.map((method) => ({
      ...method,
      callsBySecond: shifted(method.callsBySecond, seconds, HISTORY_SECONDS + 1, 0),
      failedBySecond: shifted(method.failedBySecond, seconds, HISTORY_SECONDS + 1, 0),
      latenciesBySlot: shifted(method.latenciesBySlot, Math.round(seconds / SLOT_SECONDS), SLOTS, []),
    })),
    failures: snapshot.failures.map((failure) => ({
      ...failure,
      firstMilliseconds: failure.firstMilliseconds + milliseconds,
      lastMilliseconds: failure.lastMilliseconds + milliseconds,
    })),
    targets: snapshot.targets.map((target) => ({
      ...target,
      lastFailure: older(target.lastFailure),
      lastDifference: older(target.lastDifference),
    })),
  };
}

/** What all of them list, those of the same identity as one. */
function merged<T>(
  snapshots: readonly StatisticsSnapshot[],
  listOf: (snapshot: StatisticsSnapshot) => readonly T[],
  identity: (one: T) => string,
  merge: (a: T, b: T) => T,
): T[] {
  const all = new Map<string, T>();
  for (const snapshot of snapshots) {
    for (const one of listOf(snapshot)) {
      const name = identity(one);
      const known = all.get(name);
      all.set(name, known === undefined ? one : merge(known, one));
    }
  }
  return [...all.values()];
}

function methodIdentity({ route, method }: MethodStatistics): string {
  return JSON.stringify([route, method]);
}

function mergedMethods(a: MethodStatistics, b: MethodStatistics): MethodStatistics {
  return {
    route: a.route,
    method: a.method,
    calls: a.calls + b.calls,
    failed: a.failed + b.failed,
    cancelled: a.cancelled + b.cancelled,
    callsBySecond: zipped(a.callsBySecond, b.callsBySecond, 0, (x, y) => x + y),
    failedBySecond: zipped(a.failedBySecond, b.failedBySecond, 0, (x, y) => x + y),
    latenciesBySlot: zipped<BucketCounts>(a.latenciesBySlot, b.latenciesBySlot, [], addedCounts),
  };
}

/** Those that are called least share the last place. */
function boundedMethods(methods: MethodStatistics[]): MethodStatistics[] {
  if (methods.length <= STATISTICS_LIMITS.maxMethods) return methods;
  const isOther = ({ method }: MethodStatistics): boolean => method === OTHER;
  methods.sort((a, b) => Number(isOther(b)) - Number(isOther(a)) || b.calls - a.calls);
  const kept = methods.slice(0, STATISTICS_LIMITS.maxMethods - 1);
  const rest = methods.slice(STATISTICS_LIMITS.maxMethods - 1).reduce(mergedMethods);
  const other = kept.findIndex(({ route, method }) => route === null && method === OTHER);
  if (other >= 0) kept[other] = mergedMethods(kept[other]!, rest);
  else kept.push({ ...rest, route: null, method: OTHER });
  return kept;
}

function mergedFailures(a: FailureKind, b: FailureKind): FailureKind {
  const last = a.lastMilliseconds <= b.lastMilliseconds ? a : b;
  return {
    ...last,
    methods: [...new Set([...a.methods, ...b.methods])].slice(0, STATISTICS_LIMITS.maxMethodsOfFailure),
    count: a.count + b.count,
    firstMilliseconds: Math.max(a.firstMilliseconds, b.firstMilliseconds),
    lastMilliseconds: last.lastMilliseconds,
  };
}

function targetIdentity({ role, target }: TargetStatistics): string {
  return `${role} ${target}`;
}

function mergedTargets(a: TargetStatistics, b: TargetStatistics): TargetStatistics {
  return {
    role: a.role,
    target: a.target,
    results: addedRecords(a.results, b.results),
    compared: addedRecords(a.compared, b.compared),
    lastFailure: later(a.lastFailure, b.lastFailure),
    lastDifference: later(a.lastDifference, b.lastDifference),
  };
}

function addedRecords<K extends string>(
  a: Readonly<Record<K, number>>,
  b: Readonly<Record<K, number>>,
): Record<K, number> {
  const sum: Record<K, number> = { ...a };
  for (const key of Object.keys(b) as K[]) sum[key] += b[key];
  return sum;
}

function later(a: Told | null, b: Told | null): Told | null {
  if (a === null || b === null) return a ?? b;
  return a.milliseconds <= b.milliseconds ? a : b;
}

function addedCounts(a: BucketCounts, b: BucketCounts): BucketCounts {
  const sum = new LatencySum();
  sum.add(a);
  sum.add(b);
  return sum.counts;
}

/** Two histories as one; what one lacks is empty. */
function zipped<T>(a: readonly T[], b: readonly T[], empty: T, add: (a: T, b: T) => T): T[] {
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => add(a[i] ?? empty, b[i] ?? empty));
}

/** A history from a later point of view. */
function shifted<T>(values: readonly T[], by: number, length: number, empty: T): T[] {
  if (values.length === 0 || by >= length) return [];
  return [...Array.from({ length: by }, () => empty), ...values].slice(0, length);
}
