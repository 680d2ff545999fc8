import type { ShadowOutcome, ShadowResult } from '../../call/outcome.js';
import type { ResponseVerdict } from '../../proxy/compare/verdict.js';
import { STATISTICS_LIMITS } from '../defaults.js';
import type { ComparedResult, TargetStatistics, Told } from './snapshot.js';
import { cut, OTHER } from './texts.js';

/** The same with a time by the clock of calls, and texts as long as they are. */
interface ToldAt {
  readonly text: string;
  readonly method: string;
  readonly at: number;
}

interface CountsOfTarget {
  readonly role: TargetStatistics['role'];
  readonly target: string;
  readonly results: Record<ShadowResult, number>;
  readonly compared: Record<ComparedResult, number>;
  lastFailure: ToldAt | undefined;
  lastDifference: ToldAt | undefined;
}

/** What becomes of shadows, by target. */
export class TargetCounts {
  readonly #shadows = new Map<string, CountsOfTarget>();
  readonly #secondaries = new Map<string, CountsOfTarget>();

  ended({ role, target, result, failure, method }: ShadowOutcome, at: number): void {
    const counts = this.#countsOf(role === 'secondary' ? 'secondary' : 'shadow', target);
    counts.results[result]++;
    if (result === 'ok' || result === 'cancelled' || failure === undefined) return;
    counts.lastFailure = { text: failure.error.message, method, at };
  }

  compared(verdict: ResponseVerdict, at: number): void {
    // That is not judged: what it says is what others are judged by.
    if (verdict.role === 'baseline') return;
    const counts = this.#countsOf(verdict.role === 'secondary' ? 'secondary' : 'shadow', verdict.target);
    counts.compared[verdict.result === 'noise' ? 'same' : verdict.result]++;
    if (verdict.result !== 'different') return;
    counts.lastDifference = { text: placeOf(verdict), method: verdict.method, at };
  }

  snapshot(at: number): TargetStatistics[] {
    const told = (one: ToldAt | undefined): Told | null =>
      one === undefined
        ? null
        : { text: cut(one.text), method: cut(one.method), milliseconds: Math.max(0, at - one.at) };
    return [...this.#shadows.values(), ...this.#secondaries.values()].map((counts) => ({
      role: counts.role,
      target: cut(counts.target),
      results: { ...counts.results },
      compared: { ...counts.compared },
      lastFailure: told(counts.lastFailure),
      lastDifference: told(counts.lastDifference),
    }));
  }

  #countsOf(role: TargetStatistics['role'], target: string): CountsOfTarget {
    const counts = role === 'shadow' ? this.#shadows : this.#secondaries;
    const known = counts.get(target);
    if (known !== undefined) return known;
    if (counts.size >= STATISTICS_LIMITS.maxTargets && target !== OTHER) return this.#countsOf(role, OTHER);
    const made: CountsOfTarget = {
      role,
      target,
      results: { ok: 0, error: 0, lagged: 0, expired: 0, cancelled: 0 },
      compared: { same: 0, different: 0, inconclusive: 0 },
      lastFailure: undefined,
      lastDifference: undefined,
    };
    counts.set(target, made);
    return made;
  }
}

function placeOf(verdict: ResponseVerdict & { readonly result: 'different' | 'noise' }): string {
  switch (verdict.at) {
    case 'status':
      return `status ${verdict.other} in place of ${verdict.primary}`;
    case 'messages':
      return `${verdict.other} messages in place of ${verdict.primary}`;
    case 'message': {
      if (verdict.path !== undefined) return `message ${verdict.index}, at ${verdict.path || 'its whole'}`;
      return `message ${verdict.index}${verdict.offset === undefined ? '' : `, at byte ${verdict.offset}`}`;
    }
    default:
      return `${verdict.at}, ${verdict.name}`;
  }
}
