import type { CallEnd } from '../attacks/lab/victim.js';

/** Something that was done to a backend, and what its calls may be told for it. */
export interface Disturbance {
  readonly what: string;
  readonly from: number;
  /** Until when calls may notice; Infinity while it lasts. */
  until: number;
  /** What BEHAVIOUR.md names for it. */
  readonly codes: readonly number[];
}

/** Of violations that are told one by one. */
export const MAX_EXAMPLES = 20;

/** Every call of the victims of one backend: OK, excused by a disturbance, or a violation. */
export class Account {
  calls = 0;
  ok = 0;
  /** Ends of streams and calls that a disturbance excuses, by what it was and the status. */
  readonly excused = new Map<string, number>();
  readonly violations: string[] = [];
  violationCount = 0;
  readonly #disturbances: Disturbance[] = [];
  readonly #startedAt = performance.now();

  constructor(readonly service: string) {}

  /** From now on, until {@link Disturbance.until} is set. */
  disturb(what: string, codes: readonly number[]): Disturbance {
    const disturbance = { what, codes, from: performance.now(), until: Number.POSITIVE_INFINITY };
    this.#disturbances.push(disturbance);
    return disturbance;
  }

  enter(end: CallEnd): void {
    if (end.kind === 'call') this.calls++;
    if (end.kind === 'call' && end.code === 0) {
      this.ok++;
      return;
    }
    // A stream lives long: what ended it must have been going on then.
    const since = end.kind === 'call' ? end.startedAt : end.endedAt;
    const excuse = this.#disturbances.find(
      ({ from, until, codes }) =>
        end.code !== undefined && codes.includes(end.code) && from <= end.endedAt && until >= since,
    );
    if (excuse !== undefined) {
      const key = `${excuse.what}: ${end.kind} with status ${end.code}`;
      this.excused.set(key, (this.excused.get(key) ?? 0) + 1);
      return;
    }
    this.violationCount++;
    if (this.violations.length >= MAX_EXAMPLES) return;
    const seconds = ((end.endedAt - this.#startedAt) / 1000).toFixed(1);
    const lasted = (end.endedAt - end.startedAt).toFixed(0);
    this.violations.push(`${this.service}, at ${seconds} s: a ${end.kind} of ${lasted} ms: ${end.what}`);
  }
}
