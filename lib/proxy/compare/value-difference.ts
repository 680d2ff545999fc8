import { COMPARE_LIMITS } from '../defaults.js';
import { type Label, type PathsFrom, pathsBelow } from './ignored-paths.js';
import type { Place } from './places.js';
import { bytesOf, checkVisible, hasScalarKeys, kindOf, tagOf } from './value-kinds.js';

/** A place where two values differ. */
export interface ValueDifference {
  readonly place: Place;
  /** What the values have there; undefined may mean that there is nothing. */
  readonly a: unknown;
  readonly b: unknown;
}

/** Where two values differ. */
export type ValueDifferences =
  /** These are all places, in the order of the first value. */
  | { readonly name: 'all'; readonly places: readonly ValueDifference[] }
  /** There may be more. */
  | { readonly name: 'some'; readonly places: readonly ValueDifference[]; readonly reason: string };

/** Two objects that are being gone through, side by side. */
interface Visit {
  readonly a: object;
  readonly b: object;
  readonly children: Iterator<Child>;
  readonly ignored: PathsFrom;
  readonly parent: Visit | undefined;
  /** Where they are in the parents'. */
  readonly label: Label | undefined;
}

type Child = readonly [label: Label, a: unknown, b: unknown];

/**
 * Compares two values that an application's `decode` has made: arrays by index, maps by key, objects by their own
 * enumerable properties, bytes by content. A property that is undefined is as one that is not there. Functions are no
 * data. It does not recurse, and goes no further than the limits say.
 *
 * @param most so many places are enough
 * @throws whatever the values throw when they are looked at; TypeError for values whose state cannot be seen
 */
export function valueDifferences(
  a: unknown,
  b: unknown,
  ignored: PathsFrom,
  most: number = COMPARE_LIMITS.maxPlaces,
): ValueDifferences {
  const places: ValueDifference[] = [];
  let left = COMPARE_LIMITS.maxValues;
  let depth = 0;
  let visit = begin(a, b, ignored, undefined, undefined, places);
  while (visit !== undefined) {
    if (places.length >= most) return { name: 'some', places, reason: 'they differ at many places' };
    if (left-- === 0) return { name: 'some', places, reason: 'the decoded values are too large' };
    const next = visit.children.next();
    if (next.done === true) {
      visit = visit.parent;
      depth--;
      continue;
    }
    const [label, ofA, ofB]: Child = next.value;
    const below = pathsBelow(visit.ignored, label);
    if (below === undefined) continue;
    const child = begin(ofA, ofB, below, visit, label, places);
    if (child === undefined) continue;
    depth++;
    if (depth > COMPARE_LIMITS.maxDepth)
      return { name: 'some', places, reason: 'the decoded values are too deep' };
    visit = child;
  }
  return { name: 'all', places };
}

/** Compares two values by themselves; what is in them, if there is anything, is to be visited. */
function begin(
  a: unknown,
  b: unknown,
  ignored: PathsFrom,
  parent: Visit | undefined,
  label: Label | undefined,
  places: ValueDifference[],
): Visit | undefined {
  if (Object.is(a, b)) return undefined;
  const kind = kindOf(a);
  if (kind === kindOf(b)) {
    switch (kind) {
      case 'function':
        return undefined;
      case 'bytes':
        if (tagOf(a) === tagOf(b) && bytesOf(a).equals(bytesOf(b))) return undefined;
        break;
      case 'date':
        if (Object.is(Number(a), Number(b))) return undefined;
        break;
      case 'array':
        return enter(
          a as object,
          b as object,
          elements(a as unknown[], b as unknown[]),
          ignored,
          parent,
          label,
        );
      case 'map':
        return enter(a as object, b as object, entries(a as Entries, b as Entries), ignored, parent, label);
      case 'object':
        checkVisible(a as object);
        checkVisible(b as object);
        return enter(a as object, b as object, properties(a as object, b as object), ignored, parent, label);
    }
  }
  places.push({ place: placeOf(parent, label), a, b });
  return undefined;
}

type Entries = ReadonlyMap<unknown, unknown>;

function enter(
  a: object,
  b: object,
  children: Iterator<Child>,
  ignored: PathsFrom,
  parent: Visit | undefined,
  label: Label | undefined,
): Visit | undefined {
  // In a circle, what is to be seen is being seen already.
  for (let above = parent; above !== undefined; above = above.parent) {
    if (above.a === a && above.b === b) return undefined;
  }
  return { a, b, children, ignored, parent, label };
}

function* elements(a: readonly unknown[], b: readonly unknown[]): Generator<Child> {
  const length = Math.max(a.length, b.length);
  for (let index = 0; index < length; index++) yield [index, a[index], b[index]];
}

function* entries(a: Entries, b: Entries): Generator<Child> {
  if (!hasScalarKeys(a) || !hasScalarKeys(b)) {
    yield* elements([...a], [...b]);
    return;
  }
  for (const [key, value] of a) yield [String(key), value, b.get(key)];
  for (const [key, value] of b) if (!a.has(key)) yield [String(key), undefined, value];
}

function* properties(a: object, b: object): Generator<Child> {
  for (const key of Object.keys(a))
    yield [key, Reflect.get(a, key), isOwn(b, key) ? Reflect.get(b, key) : undefined];
  for (const key of Object.keys(b)) if (!isOwn(a, key)) yield [key, undefined, Reflect.get(b, key)];
}

/** Not what a prototype has: a message may have a field called `__proto__`, or `constructor`. */
function isOwn(object: object, key: string): boolean {
  return Object.prototype.propertyIsEnumerable.call(object, key);
}

function placeOf(parent: Visit | undefined, label: Label | undefined): Place {
  const labels: Label[] = [];
  if (label !== undefined) labels.push(label);
  for (let visit = parent; visit !== undefined; visit = visit.parent) {
    if (visit.label !== undefined) labels.push(visit.label);
  }
  return labels.reverse();
}
