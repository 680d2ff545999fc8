import type { ResponseDifference, ResponseVerdict } from '../proxy/compare/verdict.js';
import { printable } from '../transport/printable.js';

/** How often it is said how many more there were of a kind. */
const REPEAT_MILLISECONDS = 60_000;

/** The most that is shown of a method's name. */
const MAX_METHOD_CHARACTERS = 200;

/** Kinds that are told apart: clients choose the names of methods. */
const MAX_KINDS = 1000;

/** Says what answers differ in: the first of a kind at once, of more only how many. */
export class DifferenceLog {
  readonly #log: (line: string) => void;
  /** How many there were of each kind since that was said last. */
  readonly #counts = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  /** @param log told a line each */
  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  add(verdict: ResponseVerdict): void {
    if (verdict.result !== 'different') return;
    const { role, target, method } = verdict;
    // Clients choose it, and a terminal may obey it.
    const name = printable(method, MAX_METHOD_CHARACTERS);
    let kind = `${role} ${target} answers ${name} differently from the primary`;
    if (!this.#counts.has(kind) && this.#counts.size >= MAX_KINDS)
      kind = 'further methods are answered differently';
    const count = this.#counts.get(kind);
    if (count === undefined) this.#log(`compare: ${kind}: ${placeOf(verdict)}`);
    this.#counts.set(kind, count === undefined ? 0 : count + 1);
    this.#timer ??= setInterval(() => this.#repeat(), REPEAT_MILLISECONDS).unref();
  }

  /** Says what has not been said. */
  stop(): void {
    clearInterval(this.#timer);
    this.#repeat();
  }

  #repeat(): void {
    for (const [kind, count] of this.#counts) {
      if (count === 0) continue;
      this.#log(`compare: ${kind}: ${count} more ${count === 1 ? 'time' : 'times'}`);
      this.#counts.set(kind, 0);
    }
  }
}

function placeOf(verdict: ResponseDifference): string {
  switch (verdict.at) {
    case 'status':
      return `status ${verdict.other} in place of ${verdict.primary}`;
    case 'messages':
      return `${verdict.other} messages in place of ${verdict.primary}`;
    case 'message':
      return `message ${verdict.index}${verdict.offset === undefined ? '' : `, at byte ${verdict.offset}`}`;
    default:
      return `${verdict.at}, ${verdict.name}`;
  }
}
