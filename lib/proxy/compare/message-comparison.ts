import { COMPARE_LIMITS } from '../defaults.js';
import type { Scope } from '../response-observer.js';
import { type Content, contentOf, relationOf } from './content.js';
import type { MessageSummary } from './message-summary.js';
import { PlaceSet, pathText } from './places.js';
import type { CompareSettings } from './settings.js';
import { shownValue } from './shown.js';
import { type MessageRelation, ValueComparison } from './value-comparison.js';
import type { ComparedMessage, ResponseDifference } from './verdict.js';

/** A message that has been kept, and the value of its answer's `grpc-encoding`. */
export interface MessageSide {
  readonly summary: MessageSummary;
  readonly encoding: string | undefined;
}

/** Messages of the same index, and how they are to each other is not known. */
export interface MessageSides {
  readonly index: number;
  readonly primary: MessageSide;
  readonly other: MessageSide;
  /** Whether anybody still wants to know. */
  readonly isWanted: () => boolean;
  /** `none`: there is no baseline; `ended`: it has no such message. */
  readonly baseline: MessageSide | 'none' | 'ended';
}

/** What is to be said of them. */
export type MessageFinding =
  | { readonly name: 'same' }
  | { readonly name: 'different' | 'noise'; readonly difference: ResponseDifference }
  | { readonly name: 'unknown'; readonly reason: string };

/** Whether two messages are the same for certain: without a look at what they say. */
export function isSameMessage(a: MessageSummary, b: MessageSummary, hasSameEncoding: boolean): boolean {
  return a.compressed === b.compressed && (hasSameEncoding || !a.compressed) && a.equals(b);
}

const UNWANTED: MessageFinding = { name: 'unknown', reason: 'nobody wants to know' };

/** Whose messages are inflated: one comparison's at a time, as they may be 4 MiB each. */
let inflating: Promise<unknown> = Promise.resolve();

/**
 * Compares messages by what they say: their content without compression, or the values that it is decoded to. A promise
 * only if one of them is compressed. What the application throws does not come out.
 */
export function compareMessages(
  sides: MessageSides,
  settings: CompareSettings,
  method: string,
  inScope: Scope,
): MessageFinding | Promise<MessageFinding> {
  const { primary, other, baseline, isWanted } = sides;
  const messages = typeof baseline === 'string' ? [primary, other] : [primary, other, baseline];
  const { decode, ignore } = settings;
  const values = decode === undefined ? undefined : new ValueComparison(decode, ignore, method, inScope);
  const contents = () => messages.map(({ summary, encoding }) => contentOf(summary, encoding));
  if (!messages.some(({ summary }) => summary.compressed))
    return judge(sides, contents() as Content[], values);
  const finding = inflating.then(async () => {
    if (!isWanted()) return UNWANTED;
    const inflated = await Promise.all(contents());
    return isWanted() ? judge(sides, inflated, values) : UNWANTED;
  });
  inflating = finding.catch(() => {});
  return finding;
}

function judge(
  sides: MessageSides,
  contents: readonly Content[],
  values: ValueComparison | undefined,
): MessageFinding {
  const [primary, other, baseline] = contents as [Content, Content, Content | undefined];
  // Where the baseline differs, too, the first place may not be the one.
  const most = baseline === undefined ? 1 : COMPARE_LIMITS.maxPlaces;
  const relation = relate(primary, other, values, most);
  if (relation.name === 'same' || relation.name === 'unknown') return relation;
  const difference = differenceOf(sides, relation);
  if (sides.baseline === 'none') return { name: 'different', difference };
  if (baseline === undefined) return { name: 'noise', difference };
  const noise = relate(primary, baseline, values, most);
  if (noise.name === 'same') return { name: 'different', difference };
  if (noise.name === 'unknown') return { name: 'unknown', reason: `of the baseline: ${noise.reason}` };
  if (noise.name === 'different' || relation.name === 'different') return { name: 'noise', difference };
  const noisy = new PlaceSet(noise.places.map(({ place }) => place));
  const real = relation.places.find(({ place }) => !noisy.covers(place));
  const unfinished = real === undefined ? relation.unfinished : noise.unfinished;
  if (unfinished !== undefined) return { name: 'unknown', reason: unfinished };
  if (real === undefined) return { name: 'noise', difference };
  return { name: 'different', difference: differenceOf(sides, { ...relation, places: [real] }) };
}

function relate(a: Content, b: Content, values: ValueComparison | undefined, most: number): MessageRelation {
  const relation = relationOf(a, b);
  return values === undefined || relation.name === 'same' ? relation : values.relate(a, b, relation, most);
}

function differenceOf(
  { index, primary, other }: MessageSides,
  relation: Extract<MessageRelation, { name: 'different' | 'places' }>,
): ResponseDifference {
  const at = 'message';
  if (relation.name === 'places') {
    const { place, a, b } = relation.places[0]!;
    return {
      at,
      index,
      path: pathText(place),
      primary: { ...shownMessage(primary), value: safelyShown(a) },
      other: { ...shownMessage(other), value: safelyShown(b) },
    };
  }
  const { offset, reason } = relation;
  return {
    at,
    index,
    ...(reason === undefined ? {} : { reason }),
    ...(offset === undefined
      ? { primary: withDigest(primary), other: withDigest(other) }
      : { offset, primary: shownMessage(primary), other: shownMessage(other) }),
  };
}

function shownMessage({ summary: { length, compressed } }: MessageSide): ComparedMessage {
  return { length, compressed };
}

function withDigest(side: MessageSide): ComparedMessage {
  return { ...shownMessage(side), digest: side.summary.digest };
}

function safelyShown(value: unknown): string {
  try {
    return shownValue(value);
  } catch {
    return 'a value that cannot be looked at';
  }
}
