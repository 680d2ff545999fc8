import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { METRICS_LIMITS } from './defaults.js';

/** In seconds. */
export interface Lag {
  /** How long one turn took, at the moment. */
  readonly now: number;
  /** How late a timer came since somebody looked before; undefined until it has come once. */
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

/** One for the process, as its event loop is: what measures it cannot be had twice for free, and keeps nobody alive. */
let monitor: Monitor | undefined;
let window: LagWindow | undefined;
let windowReadAt = -Infinity;

/** Begins to measure, if that is not so already. */
export function monitorLag(): void {
  if (monitor !== undefined) return;
  monitor = monitorEventLoopDelay({ resolution: METRICS_LIMITS.lagTimerMilliseconds });
  monitor.enable();
}

export async function readLag(): Promise<Lag> {
  const startedAt = performance.now();
  await nextTurn();
  const endedAt = performance.now();
  const isDue = endedAt - windowReadAt >= METRICS_LIMITS.lagWindowMilliseconds;
  // Without a count, the minimum is 2 ** 63 and the mean is no number: who looks a little later is told.
  if (monitor !== undefined && isDue && monitor.count > 0) {
    windowReadAt = endedAt;
    window = windowOf(monitor);
    monitor.reset();
  }
  return { now: (endedAt - startedAt) / 1000, window };
}

function windowOf(monitored: Monitor): LagWindow {
  return {
    min: lateness(monitored.min),
    max: lateness(monitored.max),
    mean: lateness(monitored.mean),
    stddev: monitored.stddev / 1e9,
    p50: lateness(monitored.percentile(50)),
    p90: lateness(monitored.percentile(90)),
    p99: lateness(monitored.percentile(99)),
  };
}

/** What is monitored is the time between two of a timer's ends, in nanoseconds. */
function lateness(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - METRICS_LIMITS.lagTimerMilliseconds / 1000);
}
