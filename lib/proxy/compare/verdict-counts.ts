import { COMPARE_LIMITS } from '../defaults.js';
import type { ResponseVerdict } from './verdict.js';

/** How often destinations came to each result. */
export interface ResultCounts {
  /** Nothing differed. */
  readonly same: number;
  /** Something differed, and not where the baseline does. */
  readonly different: number;
  /** Something differed only where the baseline does. */
  readonly noise: number;
  /** It could not be known. */
  readonly inconclusive: number;
}

/** The results of one method's calls. */
export interface MethodCounts {
  /** Of the destinations that are judged. */
  readonly compared: ResultCounts;
  /** Of the baseline: how often it differs from the primary is how noisy the method is. */
  readonly baseline: ResultCounts;
}

type Counters = Record<keyof ResultCounts, number>;

interface CountersOfMethod {
  readonly compared: Counters;
  readonly baseline: Counters;
}

/** Where methods are counted that are too many. */
const OTHER_METHODS = 'other';

/** Counts verdicts by method: to be told of each by {@link CompareOptions.onVerdict}. */
export class VerdictCounts {
  readonly #methods = new Map<string, CountersOfMethod>();

  /**
   * The counts by method, `/service/method`; they go on. Clients choose the names of methods: beyond the first 1000 all
   * are counted as `other`.
   */
  get methods(): ReadonlyMap<string, MethodCounts> {
    return this.#methods;
  }

  /** Counts one: `compareResponses(parameters, { onVerdict: (verdict) => counts.add(verdict) })`. */
  add({ method, role, result }: ResponseVerdict): void {
    const { compared, baseline } = this.#countersOf(method);
    (role === 'baseline' ? baseline : compared)[result]++;
  }

  #countersOf(method: string): CountersOfMethod {
    const known = this.#methods.get(method);
    if (known !== undefined) return known;
    if (this.#methods.size >= COMPARE_LIMITS.maxMethods && method !== OTHER_METHODS) {
      return this.#countersOf(OTHER_METHODS);
    }
    const counters = { compared: zeros(), baseline: zeros() };
    this.#methods.set(method, counters);
    return counters;
  }
}

function zeros(): Counters {
  return { same: 0, different: 0, noise: 0, inconclusive: 0 };
}
