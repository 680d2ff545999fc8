/** How the size of a process went, sampled once a second or so. */
export class MemoryCurve {
  readonly #samples: number[] = [];

  add(rss: number): void {
    this.#samples.push(rss);
  }

  /** The median of one quarter of the time, the first being 0. */
  median(quarter: number): number {
    const length = this.#samples.length / 4;
    const sorted = this.#samples
      .slice(Math.floor(quarter * length), Math.floor((quarter + 1) * length))
      .sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  }

  get peak(): number {
    return this.#samples.reduce((peak, rss) => Math.max(peak, rss), 0);
  }
}
