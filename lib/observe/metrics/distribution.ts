import { Code } from '../../grpc/status.js';
import type { Series } from './family.js';

/** Seconds, by gRFC A66. */
export const LATENCY_BOUNDS = [
  0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01,
  0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65,
  0.8, 1, 2, 5, 10, 20, 50, 100,
] as const;

/** Bytes, by gRFC A66. */
export const SIZE_BOUNDS = [
  0, 1024, 2048, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864, 268435456, 1073741824,
  4294967296,
] as const;

/** The upper-case names of the status codes, by their numbers. */
const STATUSES = Array.from({ length: Code.UNAUTHENTICATED + 1 }, (_, code) => Code[code]!);

/** What is measured of each call, and of each attempt. */
export type Measure = 'seconds' | 'sent' | 'received';

const MEASURES = { seconds: LATENCY_BOUNDS, sent: SIZE_BOUNDS, received: SIZE_BOUNDS } as const;

const LATENCIES = Float64Array.from(LATENCY_BOUNDS);
const SIZES = Float64Array.from(SIZE_BOUNDS);

/** Where the buckets of each measure begin, and the sums. */
const SENT = LATENCIES.length + 1;
const RECEIVED = SENT + SIZES.length + 1;
const SECONDS_SUM = RECEIVED + SIZES.length + 1;
const SENT_SUM = SECONDS_SUM + 1;
const RECEIVED_SUM = SENT_SUM + 1;
const LENGTH = RECEIVED_SUM + 1;

const FIRST = { seconds: 0, sent: SENT, received: RECEIVED } as const;
const SUM = { seconds: SECONDS_SUM, sent: SENT_SUM, received: RECEIVED_SUM } as const;

/** How long calls took, and how large they were, by their status. */
export class Distributions {
  /** By code, each made with the first such call: floating-point numbers, which 2 ** 32 calls do not overflow. */
  readonly #byCode: (Float64Array | undefined)[] = new Array(STATUSES.length).fill(undefined);

  add(code: Code, milliseconds: number, bytesSent: number, bytesReceived: number): void {
    let numbers = this.#byCode[code];
    if (numbers === undefined) {
      numbers = new Float64Array(LENGTH);
      this.#byCode[code] = numbers;
    }
    const seconds = milliseconds / 1000;
    numbers[bucketOf(LATENCIES, seconds)]!++;
    numbers[SENT + bucketOf(SIZES, bytesSent)]!++;
    numbers[RECEIVED + bucketOf(SIZES, bytesReceived)]!++;
    numbers[SECONDS_SUM]! += seconds;
    numbers[SENT_SUM]! += bytesSent;
    numbers[RECEIVED_SUM]! += bytesReceived;
  }

  /** Adds what there is to a list, a series for each status. */
  readInto(list: Series[], measure: Measure, labels: readonly string[]): void {
    const first = FIRST[measure];
    const last = first + MEASURES[measure].length;
    for (let code = 0; code < STATUSES.length; code++) {
      const numbers = this.#byCode[code];
      if (numbers === undefined) continue;
      let end = last + 1;
      while (end > first && numbers[end - 1] === 0) end--;
      // One by one: Array.from() takes ten times as long, and no call goes on meanwhile.
      const buckets: number[] = [];
      for (let index = first; index < end; index++) buckets.push(numbers[index]!);
      list.push({ labels: [...labels, STATUSES[code]!], value: numbers[SUM[measure]]!, buckets });
    }
  }
}

/** The first whose upper bound is not below the value. From below: most calls are fast and small. */
function bucketOf(bounds: Float64Array, value: number): number {
  let index = 0;
  while (index < bounds.length && value > bounds[index]!) index++;
  return index;
}
