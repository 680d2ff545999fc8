import type { Aggregator, Family, FamilyHead, Series } from './family.js';
import { Turns } from './turns.js';

/** What the metrics of one process were at a moment, or those of several together: plain JSON. */
export interface MetricsSnapshot {
  /** Each metric. */
  readonly families: readonly FamilySnapshot[];
}

/** One metric, and its values. */
export interface FamilySnapshot extends FamilyHead {
  /** The values, one for each combination of labels that there is. */
  readonly series: readonly Series[];
}

/** Each metric is of one moment; where there are very many methods, the next one of a moment later. */
export async function snapshotOf(families: readonly Family[]): Promise<MetricsSnapshot> {
  const turns = new Turns();
  const snapshots: FamilySnapshot[] = [];
  for (const { name, help, type, aggregator, labelNames, bounds, read } of families) {
    if (turns.isDue) await turns.next();
    const head = { name, help, type, aggregator, labelNames, ...(bounds !== undefined && { bounds }) };
    snapshots.push({ ...head, series: read() });
  }
  return { families: snapshots };
}

/**
 * The metrics of several processes together: sums, but for gauges of which a sum says nothing (how far event loops lag,
 * say). Changes none of them.
 *
 * @param rename what the value of a label becomes; as it is by default
 */
export function mergeSnapshots(
  snapshots: Iterable<MetricsSnapshot>,
  rename?: (labelName: string, value: string) => string,
): MetricsSnapshot {
  const all = new Map<string, FamilySnapshot[]>();
  for (const { families } of snapshots) {
    for (const family of families) {
      const same = all.get(family.name);
      if (same === undefined) all.set(family.name, [family]);
      else same.push(family);
    }
  }
  return { families: Array.from(all.values(), (same) => mergedFamily(same, rename)) };
}

function mergedFamily(
  same: readonly FamilySnapshot[],
  rename: ((labelName: string, value: string) => string) | undefined,
): FamilySnapshot {
  // Where only one process has any, as where there is but one that takes calls, nothing is made anew.
  const told = same.filter(({ series }) => series.length > 0);
  if (told.length < 2 && rename === undefined) return told[0] ?? same[0]!;
  const merged = new MergedFamily(same[0]!, rename ?? asItIs);
  for (const { series } of told) for (const one of series) merged.add(one);
  return merged.snapshot();
}

/** What goes on counting when a process has ended: what it has counted. */
export function countersOf({ families }: MetricsSnapshot): MetricsSnapshot {
  return { families: families.filter(({ type }) => type !== 'gauge') };
}

function asItIs(_labelName: string, value: string): string {
  return value;
}

interface MergedSeries {
  readonly labels: readonly string[];
  value: number;
  count: number;
  readonly buckets: number[] | undefined;
}

class MergedFamily {
  readonly #head: FamilySnapshot;
  readonly #rename: (labelName: string, value: string) => string;
  readonly #series = new Map<string, MergedSeries>();

  constructor(head: FamilySnapshot, rename: (labelName: string, value: string) => string) {
    this.#head = head;
    this.#rename = rename;
  }

  add({ labels, value, buckets }: Series): void {
    const names = this.#head.labelNames;
    const renamed = labels.map((label, index) => this.#rename(names[index]!, label));
    const key = JSON.stringify(renamed);
    const known = this.#series.get(key);
    const own = this.#head.type === 'gauge' ? value : addable(value);
    if (known === undefined) {
      this.#series.set(key, { labels: renamed, value: own, count: 1, buckets: buckets && [...buckets] });
      return;
    }
    known.count++;
    known.value = COMBINE[this.#head.aggregator](known.value, own, known.count);
    for (const [index, observations] of buckets?.entries() ?? []) {
      known.buckets![index] = (known.buckets![index] ?? 0) + observations;
    }
  }

  snapshot(): FamilySnapshot {
    const series = Array.from(this.#series.values(), ({ labels, value, buckets }) =>
      buckets === undefined ? { labels, value } : { labels, value, buckets },
    );
    return { ...this.#head, series };
  }
}

/** Seconds are counted to the microsecond, or so. */
const STEPS = 2 ** 20;

/**
 * Sums of these are exact, and so the same in whatever order processes come and go: a counter that fell, by the last of its
 * digits, would be taken for one that has begun anew.
 */
function addable(value: number): number {
  return Math.floor(value * STEPS) / STEPS;
}

/** Of what there was, the next one, and how many that makes. */
const COMBINE: Record<Aggregator, (known: number, value: number, count: number) => number> = {
  sum: (known, value) => known + value,
  min: (known, value) => Math.min(known, value),
  max: (known, value) => Math.max(known, value),
  average: (known, value, count) => known + (value - known) / count,
};
