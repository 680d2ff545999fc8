/** Something that is looked at every so often. */
export interface Checked {
  check(now: number): void;
}

/**
 * One timer for all connections of a transport, in place of timers per connection or call. It runs only
 * while there are any, and doesn't keep the process alive.
 */
export class Watchdog {
  private readonly checked = new Set<Checked>();
  private readonly interval: number;
  private timer: NodeJS.Timeout | undefined = undefined;
  private checkedAt = 0;

  /**
   * @param limits of which the shortest time says how often to look
   * @param longestInterval between two looks, in milliseconds
   */
  constructor(limits: object, longestInterval = 1000) {
    this.interval = Math.max(5, Math.min(longestInterval, shortestTime(limits) / 2));
  }

  add(checked: Checked): void {
    this.checked.add(checked);
    if (this.timer !== undefined) return;
    this.checkedAt = performance.now();
    this.timer = setInterval(() => this.check(), this.interval).unref();
  }

  remove(checked: Checked): void {
    this.checked.delete(checked);
    if (this.checked.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private check(): void {
    const now = performance.now();
    const late = now - this.checkedAt > 2 * this.interval;
    this.checkedAt = now;
    // This process has stood still: answers may have come that are read only after this.
    if (late) return;
    for (const checked of this.checked) {
      try {
        checked.check(now);
      } catch (error) {
        // One connection's fault must not end the process, nor the watch over the others.
        process.emitWarning(error as Error);
      }
    }
  }
}

/** The shortest of some limits that are times, those inside of others included. */
function shortestTime(limits: object): number {
  let shortest = Infinity;
  for (const [name, value] of Object.entries(limits)) {
    if (typeof value === 'object') shortest = Math.min(shortest, shortestTime(value));
    // 0 is a time that is turned off.
    else if (name.endsWith('Milliseconds') && value > 0) shortest = Math.min(shortest, value);
  }
  return shortest;
}
