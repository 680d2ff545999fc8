import { type Metric, Registry } from 'prom-client';
import type { Family, Series } from './family.js';

/** What prom-client reads of a metric. */
interface PromValue {
  readonly labels: Record<string, string | number>;
  readonly value: number;
  readonly metricName?: string;
}

/**
 * A registry of prom-client that has these metrics, for `Registry.merge()` and for what is told in its format.
 *
 * @param look runs before one is read
 */
export function registryOf(families: readonly Family[], look: () => Promise<void>): Registry {
  const registry = new Registry();
  // Made like its own classes, which count where they are told of each event.
  for (const family of families) registry.registerMetric(new PromMetric(family, look) as unknown as Metric);
  return registry;
}

class PromMetric {
  /** prom-client takes `_total` from it where it writes OpenMetrics. */
  name: string;
  readonly help: string;
  readonly type: Family['type'];
  readonly aggregator: Family['aggregator'];
  readonly #family: Family;
  readonly #look: () => Promise<void>;

  constructor(family: Family, look: () => Promise<void>) {
    this.name = family.name;
    this.help = family.help;
    this.type = family.type;
    this.aggregator = family.aggregator;
    this.#family = family;
    this.#look = look;
  }

  async get(): Promise<object> {
    await this.#look();
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: this.#family.read().flatMap((one) => this.#values(one)) };
  }

  /** Counters never fall. */
  reset(): void {}

  #values({ labels, value, buckets }: Series): PromValue[] {
    const { labelNames, bounds = [] } = this.#family;
    const named = Object.fromEntries(labels.map((label, index) => [labelNames[index]!, label]));
    if (buckets === undefined) return [{ labels: named, value }];
    const { name } = this.#family;
    let count = 0;
    const values = [...bounds, '+Inf'].map((le, index): PromValue => {
      count += buckets[index] ?? 0;
      return { labels: { le, ...named }, value: count, metricName: `${name}_bucket` };
    });
    values.push({ labels: named, value, metricName: `${name}_sum` });
    values.push({ labels: named, value: count, metricName: `${name}_count` });
    return values;
  }
}
