import type { AdminSource, Readiness } from './admin-source.js';
import type { AddressJson, BackendJson } from './backends-json.js';
import type { CallJson } from './calls-json.js';
import { ADMIN_LIMITS } from './defaults.js';
import {
  type BucketCounts,
  LatencySum,
  type Percentiles,
  percentilesOf,
  SLOTS,
} from './statistics/latencies.js';
import { HISTORY_SECONDS } from './statistics/method-counts.js';
import type {
  FailureKind,
  MethodStatistics,
  StatisticsSnapshot,
  TargetStatistics,
} from './statistics/snapshot.js';

/** An update of the live page. Times are milliseconds since the epoch; histories are of the last minute, the oldest first. */
export interface LiveState {
  readonly at: number;
  readonly ready: Readiness;
  /** Since when it is counted; undefined: nothing is. */
  readonly since: number | undefined;
  readonly running: number;
  readonly all: Traffic;
  readonly methods: readonly (Traffic & { readonly route: string | null; readonly method: string })[];
  readonly moreMethods: number;
  readonly failures: readonly FailureKind[];
  readonly backends: readonly (BackendJson & { readonly moreAddresses: number })[];
  readonly moreBackends: number;
  readonly calls: readonly CallJson[];
  readonly moreCalls: number;
  readonly shadows: readonly TargetStatistics[];
  /** Paths that there is something at. */
  readonly paths: readonly string[];
}

/** The calls of one method, or of all. */
export interface Traffic {
  readonly calls: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Of the last minute. */
  readonly lastCalls: number;
  readonly lastFailed: number;
  /** By second, 60 of them. */
  readonly callsBySecond: readonly number[];
  readonly failedBySecond: readonly number[];
  /** In milliseconds; null where there was no call. */
  readonly latency: Percentiles | null;
  /** By five seconds, 13 of them. */
  readonly latencies: readonly (Percentiles | null)[];
}

const NOTHING: StatisticsSnapshot = {
  ageMilliseconds: 0,
  running: 0,
  methods: [],
  failures: [],
  targets: [],
};

/** Asks the source all that the page shows. */
export async function liveState(source: AdminSource): Promise<LiveState> {
  const [ready, statistics, backends = [], calls = []] = await Promise.all([
    source.ready(),
    source.statistics?.(),
    source.backends?.(),
    source.calls?.(),
  ]);
  const { running, ageMilliseconds, methods, failures, targets } = statistics ?? NOTHING;
  const at = Date.now();
  const { maxShownMethods, maxShownBackends, maxShownCalls } = ADMIN_LIMITS;
  const ranked = [...methods].sort(byImportance);
  return {
    at,
    ready,
    since: statistics && at - ageMilliseconds,
    running,
    all: trafficOf(methods),
    methods: ranked
      .slice(0, maxShownMethods)
      .map((each) => ({ route: each.route, method: each.method, ...trafficOf([each]) })),
    moreMethods: Math.max(0, ranked.length - maxShownMethods),
    failures,
    backends: backends.slice(0, maxShownBackends).map(shownBackend),
    moreBackends: Math.max(0, backends.length - maxShownBackends),
    calls: calls.slice(0, maxShownCalls),
    moreCalls: Math.max(0, Math.max(calls.length, running) - maxShownCalls),
    shadows: targets,
    paths: PATHS.filter((name) => source[name] !== undefined).map((name) => `/${name}`),
  };
}

const PATHS = ['metrics', 'backends', 'calls', 'config'] as const;

/** Those first that fail, and then those that are called most. */
function byImportance(a: MethodStatistics, b: MethodStatistics): number {
  const lastFailed = total(b.failedBySecond) - total(a.failedBySecond);
  return lastFailed || total(b.callsBySecond) - total(a.callsBySecond) || b.calls - a.calls;
}

function trafficOf(methods: readonly MethodStatistics[]): Traffic {
  // Without the second that goes on: it is not whole, and would look like a fall.
  const callsBySecond = new Array<number>(HISTORY_SECONDS).fill(0);
  const failedBySecond = new Array<number>(HISTORY_SECONDS).fill(0);
  const sum = { calls: 0, failed: 0, cancelled: 0 };
  for (const method of methods) {
    sum.calls += method.calls;
    sum.failed += method.failed;
    sum.cancelled += method.cancelled;
    for (let age = 1; age <= HISTORY_SECONDS; age++) {
      callsBySecond[HISTORY_SECONDS - age]! += method.callsBySecond[age] ?? 0;
      failedBySecond[HISTORY_SECONDS - age]! += method.failedBySecond[age] ?? 0;
    }
  }
  const slots = Array.from({ length: SLOTS }, (_, index) =>
    added(methods.map(({ latenciesBySlot }) => latenciesBySlot[SLOTS - 1 - index] ?? [])),
  );
  return {
    ...sum,
    lastCalls: total(callsBySecond),
    lastFailed: total(failedBySecond),
    callsBySecond,
    failedBySecond,
    latency: rounded(percentilesOf(added(slots))),
    latencies: slots.map((counts) => rounded(percentilesOf(counts))),
  };
}

function added(all: readonly BucketCounts[]): BucketCounts {
  if (all.length === 1) return all[0]!;
  const sum = new LatencySum();
  for (const counts of all) sum.add(counts);
  return sum.counts;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** More digits are not known of them. */
function rounded(percentiles: Percentiles | undefined): Percentiles | null {
  if (percentiles === undefined) return null;
  const [p50, p95, p99] = percentiles.map((each) => Number(each.toPrecision(3))) as [number, number, number];
  return [p50, p95, p99];
}

/** Those of its addresses first that something is wrong with. */
function shownBackend(backend: BackendJson): BackendJson & { readonly moreAddresses: number } {
  const { maxShownAddresses } = ADMIN_LIMITS;
  const { addresses } = backend;
  if (addresses.length <= maxShownAddresses) return { ...backend, moreAddresses: 0 };
  const troubled = addresses.filter(isTroubled);
  const others = addresses.filter((address) => !isTroubled(address));
  return {
    ...backend,
    addresses: [...troubled, ...others].slice(0, maxShownAddresses),
    moreAddresses: addresses.length - maxShownAddresses,
  };
}

function isTroubled({ state, ejected }: AddressJson): boolean {
  return ejected || state === 'TRANSIENT_FAILURE';
}
