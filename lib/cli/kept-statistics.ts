import { ageStatistics, mergeStatistics, type StatisticsSnapshot } from '../admin/index.js';

/** Statistics that nobody brings up to date any more, as they are later: what a process said last. */
export class KeptStatistics {
  #snapshot: StatisticsSnapshot | undefined;
  /** When it was taken. */
  #at = 0;

  /** Undefined if there are none. */
  get current(): StatisticsSnapshot | undefined {
    return this.#snapshot && ageStatistics(this.#snapshot, performance.now() - this.#at);
  }

  /** Keeps these in their place, which are of now. */
  replace(snapshot: StatisticsSnapshot | undefined): void {
    if (snapshot === undefined) return;
    this.#snapshot = snapshot;
    this.#at = performance.now();
  }

  /** Keeps these, too, as of one process with those that there are. */
  add(snapshot: StatisticsSnapshot | undefined): void {
    const { current } = this;
    this.replace(current && snapshot ? mergeStatistics([current, snapshot]) : snapshot);
  }
}
