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

/** Counts of durations by bucket, without those that are 0: bucket, count, bucket, count, … */
export type BucketCounts = readonly number[];

/** p50, p95 and p99 in milliseconds; undefined where nothing was counted. */
export type Percentiles = readonly [p50: number, p95: number, p99: number];

/** Adds up counts, to take percentiles of them. */
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
    return sparse(this.#counts, 0, BUCKETS);
  }

  get percentiles(): Percentiles | undefined {
    if (this.#total === 0) return undefined;
    return [this.#percentile(0.5), this.#percentile(0.95), this.#percentile(0.99)];
  }

  /** As if those in a bucket were spread evenly over it. */
  #percentile(part: number): number {
    let left = part * this.#total;
    let bucket = 0;
    while (bucket < BUCKETS - 1 && left > this.#counts[bucket]!) left -= this.#counts[bucket++]!;
    const start = startOf(bucket);
    return start + (left / this.#counts[bucket]!) * (startOf(bucket + 1) - start);
  }
}

/** The counts of some buckets in a row. */
export function sparse(counts: Uint32Array | Float64Array, from: number, length: number): BucketCounts {
  const found: number[] = [];
  for (let bucket = 0; bucket < length; bucket++) {
    const count = counts[from + bucket]!;
    if (count !== 0) found.push(bucket, count);
  }
  return found;
}
