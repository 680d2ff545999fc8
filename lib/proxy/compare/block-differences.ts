import type { Answer, AnswerEnd } from './answer.js';
import { type Fields, sameValues, valuesIn } from './fields.js';
import { shownValues } from './shown.js';
import type { ResponseDifference } from './verdict.js';

/** An answer that came to its end. */
export interface WholeAnswer extends Answer {
  readonly end: Extract<AnswerEnd, { name: 'whole' }>;
}

export function isWhole(answer: Answer): answer is WholeAnswer {
  return answer.end?.name === 'whole';
}

/** Where two blocks of response headers differ. */
export function headerDifferences(
  primary: Fields,
  other: Fields,
  names: readonly string[],
): ResponseDifference[] {
  return fieldDifferences('headers', names, (name) => [valuesIn(name, primary), valuesIn(name, other)]);
}

/**
 * Where two answers differ besides their headers and messages, the most telling first: an error status explains why
 * messages are missing.
 */
export function endDifferences(
  primary: WholeAnswer,
  other: WholeAnswer,
  names: readonly string[],
): ResponseDifference[] {
  const differences: ResponseDifference[] = [];
  if (primary.end.code !== other.end.code) {
    differences.push({ at: 'status', primary: primary.end.code, other: other.end.code });
  }
  if (primary.count !== other.count) {
    const index = Math.min(primary.count, other.count);
    differences.push({ at: 'messages', index, primary: primary.count, other: other.count });
  }
  // A Trailers-Only response has in its trailers what another may have in its headers: if one of the two is such, all
  // fields of both are compared.
  const isApart = primary.headers !== undefined && other.headers !== undefined;
  const valuesOf = (name: string, { headers, end }: WholeAnswer) =>
    valuesIn(name, isApart ? undefined : headers, end.trailers);
  return [
    ...differences,
    ...fieldDifferences('trailers', names, (name) => [valuesOf(name, primary), valuesOf(name, other)]),
  ];
}

function fieldDifferences(
  at: 'headers' | 'trailers',
  names: readonly string[],
  valuesOf: (name: string) => readonly [primary: readonly string[], other: readonly string[]],
): ResponseDifference[] {
  const differences: ResponseDifference[] = [];
  for (const name of names) {
    const [primary, other] = valuesOf(name);
    if (!sameValues(primary, other)) {
      differences.push({ at, name, primary: shownValues(primary), other: shownValues(other) });
    }
  }
  return differences;
}

/** Whether two differences, both in blocks of the same kind, are at the same place. */
export function isSamePlace(a: ResponseDifference, b: ResponseDifference): boolean {
  return a.at === b.at && ('name' in a ? a.name : undefined) === ('name' in b ? b.name : undefined);
}
