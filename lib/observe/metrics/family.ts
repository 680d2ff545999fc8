/** How the values of several processes become one. */
export type Aggregator = 'sum' | 'min' | 'max' | 'average';

/** What a metric is. */
export interface FamilyHead {
  /** As Prometheus names it: `grpc_server_call_started_total`. */
  readonly name: string;
  /** What it says, in a sentence. */
  readonly help: string;
  /** A number that only grows, one that may fall, or how many observations fell into each bucket. */
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Of a counter or histogram always `sum`. */
  readonly aggregator: Aggregator;
  /** By what its values are told apart. */
  readonly labelNames: readonly string[];
  /** Of a histogram: the upper bounds of its buckets, ascending, without +Inf. */
  readonly bounds?: readonly number[];
}

/** One value of a metric. */
export interface Series {
  /** In the order of {@link FamilyHead.labelNames}. */
  readonly labels: readonly string[];
  /** Of a histogram: the sum of what was observed. */
  readonly value: number;
  /**
   * Of a histogram: how many observations fell into each bucket alone, +Inf's being the last one. Those that are empty are
   * left out at the end.
   */
  readonly buckets?: readonly number[];
}

/** A metric that can be read. */
export interface Family extends FamilyHead {
  /** As it stands now. */
  read(): Series[];
}

type Read = () => Series[];

export function counter(name: string, help: string, labelNames: readonly string[], read: Read): Family {
  return { name, help, type: 'counter', aggregator: 'sum', labelNames, read };
}

export function gauge(
  name: string,
  help: string,
  labelNames: readonly string[],
  read: Read,
  aggregator: Aggregator = 'sum',
): Family {
  return { name, help, type: 'gauge', aggregator, labelNames, read };
}

export function histogram(
  name: string,
  help: string,
  labelNames: readonly string[],
  bounds: readonly number[],
  read: Read,
): Family {
  return { name, help, type: 'histogram', aggregator: 'sum', labelNames, bounds, read };
}
