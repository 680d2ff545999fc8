import type { ResponseDifference, ResponseVerdict } from '../proxy/compare/verdict.js';
import { printable } from '../transport/printable.js';
import { RepeatedLines } from './repeated-lines.js';

/** The most that is shown of a method's name. */
const MAX_METHOD_CHARACTERS = 200;

/** Says what answers differ in. */
export class DifferenceLog {
  readonly #lines: RepeatedLines;

  /** @param log told a line each */
  constructor(log: (line: string) => void) {
    this.#lines = new RepeatedLines(log, 'compare: further methods are answered differently');
  }

  add(verdict: ResponseVerdict): void {
    if (verdict.result !== 'different') return;
    const { role, target, method } = verdict;
    // Clients choose it, and a terminal may obey it.
    const name = printable(method, MAX_METHOD_CHARACTERS);
    this.#lines.add(
      `compare: ${role} ${target} answers ${name} differently from the primary`,
      placeOf(verdict),
    );
  }

  /** Says what has not been said. */
  stop(): void {
    this.#lines.stop();
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
