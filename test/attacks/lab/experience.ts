/** What became of a victim's calls in some time. */
export class Experience {
  /** Latencies of calls that ended OK, in milliseconds. */
  readonly latencies: number[] = [];
  /** Calls that did not, by what they were told. */
  readonly failures = new Map<string, number>();
  calls = 0;
  /** Ends of the server stream, by what it was told. */
  readonly streamFailures = new Map<string, number>();
  /** Errors of its own connection. */
  readonly connectionFailures = new Map<string, number>();
  readonly #startedAt = performance.now();
  #endedAt: number | undefined;
  /** Times that something came on the server stream. */
  ticks = 0;
  pending = 0;
  #onNone: (() => void) | undefined;

  begin(): void {
    this.calls++;
    this.pending++;
  }

  end(failure: string | undefined, milliseconds: number): void {
    if (failure === undefined) this.latencies.push(milliseconds);
    else count(this.failures, failure);
    this.pending--;
    if (this.pending === 0) this.#onNone?.();
  }

  /** No more calls will begin. Resolves when all have ended, which they must. */
  settled(): Promise<void> {
    this.#endedAt = performance.now();
    if (this.pending === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onNone = resolve;
    });
  }

  /** How long calls began. */
  get seconds(): number {
    return ((this.#endedAt ?? performance.now()) - this.#startedAt) / 1000;
  }

  get successPercent(): number {
    return this.calls === 0 ? 0 : (100 * (this.calls - sum(this.failures))) / this.calls;
  }

  /** @param quantile from 0 to 1 */
  latency(quantile: number): number {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return (
      sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? Number.POSITIVE_INFINITY
    );
  }
}

/** Of all kinds. */
export function sum(failures: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const number of failures.values()) total += number;
  return total;
}

/** One more of a kind. */
export function count(failures: Map<string, number>, failure: string): void {
  failures.set(failure, (failures.get(failure) ?? 0) + 1);
}

/** For people. */
export function describeFailures(failures: ReadonlyMap<string, number>): string {
  return [...failures].map(([what, number]) => `${number} × ${what}`).join(', ');
}
