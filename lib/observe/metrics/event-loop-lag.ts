import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { METRICS_LIMITS } from './defaults.js';

/** Seconds. */
export interface Lag {
  /** How long one turn took, at the moment. */
  readonly now: number;
  /** Of a timer's period, which is part of it, since somebody looked before; undefined where none has passed. */
  readonly window: LagWindow | undefined;
}

export interface LagWindow {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

type Monitor = ReturnType<typeof monitorEventLoopDelay>;

const NANOSECONDS = 1e9;

/** One for the process, as its event loop is: what measures it cannot be had twice for free, and keeps nobody alive. */
let monitor: Monitor | undefined;
let window: LagWindow | undefined;
let windowReadAt = -Infinity;

/** Begins to measure, if that is not so already. */
export function monitorLag(): void {
  if (monitor !== undefined) return;
  monitor = monitorEventLoopDelay({ resolution: METRICS_LIMITS.lagResolutionMilliseconds });
  monitor.enable();
}

export async function readLag(): Promise<Lag> {
  const startedAt = performance.now();
  await nextTurn();
  const endedAt = performance.now();
  if (monitor !== undefined && endedAt - windowReadAt >= METRICS_LIMITS.lagWindowMilliseconds) {
    windowReadAt = endedAt;
    // Without a count, the minimum is 2 ** 63 and the mean is no number.
    window = monitor.count === 0 ? undefined : windowOf(monitor);
    monitor.reset();
  }
  return { now: (endedAt - startedAt) / 1000, window };
}

function windowOf(monitored: Monitor): LagWindow {
  return {
    min: monitored.min / NANOSECONDS,
    max: monitored.max / NANOSECONDS,
    mean: monitored.mean / NANOSECONDS,
    stddev: monitored.stddev / NANOSECONDS,
    p50: monitored.percentile(50) / NANOSECONDS,
    p90: monitored.percentile(90) / NANOSECONDS,
    p99: monitored.percentile(99) / NANOSECONDS,
  };
}
