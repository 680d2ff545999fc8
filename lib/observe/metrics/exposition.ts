import type { TextFormat } from './accept.js';
import type { Series } from './family.js';
import type { FamilySnapshot } from './snapshot.js';

const TOTAL = '_total';

/**
 * Writes one metric in Prometheus's text format, or in OpenMetrics'. What differs there: a counter has no `_total` in its
 * own name, quotes in helps are escaped, and bounds are floating-point numbers as Go writes them.
 */
export class FamilyText {
  readonly #family: FamilySnapshot;
  readonly #format: TextFormat;
  /** The last label of each bucket, and of the last one. */
  readonly #bounds: readonly string[];

  constructor(family: FamilySnapshot, format: TextFormat) {
    this.#family = family;
    this.#format = format;
    const bounds = family.bounds ?? [];
    const texts = bounds.map(format === 'openmetrics' ? canonicalNumber : String);
    this.#bounds = [...texts, '+Inf'].map((bound) => `le="${bound}"`);
  }

  head(): string {
    const { name, help, type } = this.#family;
    const isOpenMetrics = this.#format === 'openmetrics';
    const ownName = isOpenMetrics && type === 'counter' ? withoutTotal(name) : name;
    const text = isOpenMetrics ? escapedValue(help) : escaped(help);
    return `# HELP ${ownName} ${text}\n# TYPE ${ownName} ${type}\n`;
  }

  series({ labels, value, buckets }: Series): string {
    const { name, type, labelNames } = this.#family;
    const pairs = labels.map((label, index) => `${labelNames[index]}="${escapedValue(label)}"`).join(',');
    const braced = pairs === '' ? '' : `{${pairs}}`;
    if (buckets === undefined) {
      const ownName = type === 'counter' ? `${withoutTotal(name)}${TOTAL}` : name;
      return `${ownName}${braced} ${value}\n`;
    }
    const before = pairs === '' ? `${name}_bucket{` : `${name}_bucket{${pairs},`;
    let text = '';
    let count = 0;
    for (const [index, bound] of this.#bounds.entries()) {
      count += buckets[index] ?? 0;
      text += `${before}${bound}} ${count}\n`;
    }
    return `${text}${name}_sum${braced} ${value}\n${name}_count${braced} ${count}\n`;
  }
}

function withoutTotal(name: string): string {
  return name.endsWith(TOTAL) ? name.slice(0, -TOTAL.length) : name;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapedValue(text: string): string {
  return !/["\\\n]/.test(text) ? text : escaped(text).replaceAll('"', '\\"');
}

/** "The target rendering is equivalent to the default Go rendering of float64 values", "with a .0 appended" (OpenMetrics 1.0). */
function canonicalNumber(value: number): string {
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(value));
  if (exponent < -4 || exponent >= 6) {
    const [mantissa, power] = value.toExponential().split('e') as [string, string];
    return `${mantissa}e${power[0]}${power.slice(1).padStart(2, '0')}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}
