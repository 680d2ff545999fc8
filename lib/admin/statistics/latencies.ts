/** A slot of the histories of latencies. */
export const SLOT_SECONDS = 5;

/** Slots of the last minute, and the one that is being filled. */
export const SLOTS = 13;

/** The first 8 buckets are a microsecond each; then 8 to each doubling, so that none is wider than an eighth of its values. */
const SUB_BITS = 3;
const SUB_BUCKETS = 1 << SUB_BITS;

/** As many as an int32 of microseconds has: 36 minutes, and what takes longer. */
const MAX_MICROSECONDS = 0x7fffffff;

export const BUCKETS = bucketOf(MAX_MICROSECONDS / 1000) + 1;

/** The bucket of a duration. */
export function bucketOf(milliseconds: number): number {
  const microseconds = Math.min(milliseconds * 1000, MAX_MICROSECONDS) | 0;
  if (microseconds < SUB_BUCKETS) return microseconds > 0 ? microseconds : 0;
  const shift = 31 - SUB_BITS - Math.clz32(microseconds);
  return (shift << SUB_BITS) + (microseconds >> shift);
}

/** Where a bucket begins, in milliseconds. */
function startOf(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket / 1000;
  const shift = (bucket >> SUB_BITS) - 1;
  return ((SUB_BUCKETS + (bucket & (SUB_BUCKETS - 1))) * 2 ** shift) / 1000;
}

/**
 * Counts of durations by bucket, without those that are 0: bucket, count, bucket, count, … The first 8 buckets are a
 * microsecond each; then 8 to each doubling. To be merged by {@link mergeStatistics}.
 */
export type BucketCounts = readonly number[];

/** p50, p95 and p99 in milliseconds; undefined where nothing was counted. */
export type Percentiles = readonly [p50: number, p95: number, p99: number];

/** Percentiles of what was counted. */
export function percentilesOf(counts: BucketCounts): Percentiles | undefined {
  let total = 0;
  for (let i = 1; i < counts.length; i += 2) total += counts[i]!;
  if (total === 0) return undefined;
  return [
    percentile(counts, 0.5 * total),
    percentile(counts, 0.95 * total),
    percentile(counts, 0.99 * total),
  ];
}

/** The duration that so many are below; as if those in a bucket were spread evenly over it. */
function percentile(counts: BucketCounts, below: number): number {
  let left = below;
  let i = 0;
  while (i + 2 < counts.length && left > counts[i + 1]!) {
    left -= counts[i + 1]!;
    i += 2;
  }
  const start = startOf(counts[i]!);
  return start + (left / counts[i + 1]!) * (startOf(counts[i]! + 1) - start);
}

/** Adds up counts. */
export class LatencySum {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  add(counts: BucketCounts): void {
    for (let i = 0; i + 1 < counts.length; i += 2) {
      this.#counts[counts[i]!]! += counts[i + 1]!;
      this.#total += counts[i + 1]!;
    }
  }

  get counts(): BucketCounts {
    return sparse(this.#counts, 0, this.#total);
  }
}

/** The counts of a histogram that begins there, and has counted so many in all. */
export function sparse(counts: Uint32Array | Float64Array, from: number, total: number): BucketCounts {
  const found: number[] = [];
  let left = total;
  for (let bucket = 0; left > 0 && bucket < BUCKETS; bucket++) {
    const count = counts[from + bucket]!;
    if (count === 0) continue;
    found.push(bucket, count);
    left -= count;
  }
  return found;
}
