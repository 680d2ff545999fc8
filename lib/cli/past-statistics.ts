import { ageStatistics, mergeStatistics, type StatisticsSnapshot } from '../admin/index.js';

/** Statistics as they were at a time. */
interface Dated {
  readonly statistics: StatisticsSnapshot;
  readonly at: number;
}

/** What workers that have ended had told: the live page is to show why calls failed in one that died. */
export class PastStatistics {
  readonly #last = new WeakMap<object, Dated>();
  #past: Dated | undefined;

  /** A worker has told this. */
  saw(worker: object, statistics: StatisticsSnapshot): void {
    this.#last.set(worker, { statistics, at: performance.now() });
  }

  /** It has ended. */
  ended(worker: object): void {
    const last = this.#last.get(worker);
    if (last === undefined) return;
    this.#last.delete(worker);
    const at = performance.now();
    // Whatever ran in it runs no more.
    const all = [this.#past, { ...last, statistics: { ...last.statistics, running: 0 } }];
    const aged = all.flatMap((one) => (one === undefined ? [] : agedTo(one, at)));
    this.#past = { statistics: mergeStatistics(aged), at };
  }

  /** Of all of them, as of now; undefined if there are none. */
  get statistics(): StatisticsSnapshot | undefined {
    return this.#past && agedTo(this.#past, performance.now());
  }
}

function agedTo({ statistics, at }: Dated, time: number): StatisticsSnapshot {
  return ageStatistics(statistics, time - at);
}
