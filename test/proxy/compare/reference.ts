/** What is known of an answer at some time. */
export interface Answered {
  /** Values of the field that is compared; undefined before headers have come. */
  headers: readonly string[] | undefined;
  readonly messages: Buffer[];
  end: 'cut' | { readonly code: number; readonly trailers: readonly string[] } | undefined;
}

export interface ReferenceVerdict {
  readonly result: 'same' | 'different' | 'noise' | 'inconclusive';
  readonly at?: string;
  readonly index?: number;
}

type Difference = Omit<ReferenceVerdict, 'result'>;

const INCONCLUSIVE: ReferenceVerdict = { result: 'inconclusive' };

/**
 * The verdict on what has come so far, by looking at all of it; undefined if there is none yet. Written without regard
 * to cost, to judge the comparer by.
 */
export function referenceVerdict(
  primary: Answered,
  other: Answered,
  baseline: Answered | undefined,
): ReferenceVerdict | undefined {
  if (primary.end === 'cut' || other.end === 'cut') return INCONCLUSIVE;
  const areWhole = primary.end !== undefined && other.end !== undefined;
  let noise: Difference | undefined;
  for (const place of placesOf(primary, other)) {
    const difference = differenceAt(place, primary, other);
    if (difference === 'later') return undefined;
    if (difference === 'none') continue;
    if (baseline === undefined) return areWhole ? { result: 'different', ...difference } : undefined;
    const itsDifference = differenceAt(place, primary, baseline, true);
    if (itsDifference === 'later') return baseline.end === undefined ? undefined : INCONCLUSIVE;
    if (itsDifference === 'none') return areWhole ? { result: 'different', ...difference } : undefined;
    noise ??= difference;
  }
  return noise === undefined ? { result: 'same' } : { result: 'noise', ...noise };
}

type Place = 'headers' | 'status' | 'messages' | 'trailers' | number;

function* placesOf(primary: Answered, other: Answered): Generator<Place> {
  yield 'headers';
  for (let index = 0; index < primary.messages.length && index < other.messages.length; index++) yield index;
  yield 'status';
  yield 'messages';
  yield 'trailers';
}

function differenceAt(
  place: Place,
  a: Answered,
  b: Answered,
  isBaseline = false,
): Difference | 'none' | 'later' {
  if (place === 'headers') {
    if (a.headers === undefined && a.end === undefined) return 'later';
    if (b.headers === undefined && (b.end === undefined || b.end === 'cut')) return 'later';
    let { headers } = b;
    if (headers === undefined && isBaseline && typeof b.end === 'object') headers = b.end.trailers;
    if (a.headers === undefined || headers === undefined) return 'none';
    return same(a.headers, headers) ? 'none' : { at: 'headers' };
  }
  if (typeof place === 'number') {
    const message = b.messages[place];
    if (message !== undefined) {
      return message.equals(a.messages[place]!) ? 'none' : { at: 'message', index: place };
    }
    return typeof b.end === 'object' ? { at: 'message', index: place } : 'later';
  }
  if (typeof a.end !== 'object' || typeof b.end !== 'object') return 'later';
  switch (place) {
    case 'status':
      return a.end.code === b.end.code ? 'none' : { at: 'status' };
    case 'messages': {
      const index = Math.min(a.messages.length, b.messages.length);
      return a.messages.length === b.messages.length ? 'none' : { at: 'messages', index };
    }
    default: {
      const isApart = a.headers !== undefined && b.headers !== undefined;
      const ofA = isApart ? a.end.trailers : [...(a.headers ?? []), ...a.end.trailers];
      const ofB = isApart ? b.end.trailers : [...(b.headers ?? []), ...b.end.trailers];
      return same(ofA, ofB) ? 'none' : { at: 'trailers' };
    }
  }
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.join() === b.join();
}
