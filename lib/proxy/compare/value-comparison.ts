import { types } from 'node:util';
import { warn, whenSettled } from '../../call/hooks.js';
import { StatusError } from '../../grpc/status.js';
import type { Scope } from '../response-observer.js';
import { type Content, type Relation, SAME } from './content.js';
import type { CompareSettings } from './settings.js';
import { shownText } from './shown.js';
import { type ValueDifference, valueDifferences } from './value-difference.js';

/** Two contents to each other; where they were decoded, by places. */
export type MessageRelation =
  | Relation
  | {
      readonly name: 'places';
      readonly places: readonly ValueDifference[];
      /** Why there may be more. */
      readonly unfinished: string | undefined;
    };

type Decoded =
  | { readonly name: 'value'; readonly value: unknown }
  | { readonly name: 'failed'; readonly reason: string }
  | { readonly name: 'unheld' };

/** Compares contents by the values that the application's `decode` makes of them, each of them once. */
export class ValueComparison {
  readonly #decode: NonNullable<CompareSettings['decode']>;
  readonly #ignore: CompareSettings['ignore'];
  readonly #method: string;
  readonly #inScope: Scope;
  readonly #decoded = new Map<Content, Decoded>();

  constructor(
    decode: NonNullable<CompareSettings['decode']>,
    ignore: CompareSettings['ignore'],
    method: string,
    inScope: Scope,
  ) {
    this.#decode = decode;
    this.#ignore = ignore;
    this.#method = method;
    this.#inScope = inScope;
  }

  /**
   * @param byContent how they are to each other otherwise: that counts if they cannot be decoded
   * @param most so many places are enough
   */
  relate(a: Content, b: Content, byContent: Relation, most: number): MessageRelation {
    const decoded = [this.#decodedOnce(a), this.#decodedOnce(b)];
    const failed = decoded.find(({ name }) => name === 'failed') as { reason: string } | undefined;
    if (failed !== undefined) return withReason(byContent, failed.reason);
    const [left, right] = decoded as [Decoded, Decoded];
    if (left.name !== 'value' || right.name !== 'value') {
      return { name: 'unknown', reason: 'a message is too large to be held for decode' };
    }
    try {
      const found = valueDifferences(left.value, right.value, this.#ignore, most);
      const { places } = found;
      const unfinished = found.name === 'some' ? found.reason : undefined;
      if (places.length > 0) return { name: 'places', places, unfinished };
      return unfinished === undefined ? SAME : { name: 'unknown', reason: unfinished };
    } catch (error) {
      return withReason(byContent, reasonOf(error));
    }
  }

  #decodedOnce(content: Content): Decoded {
    let decoded = this.#decoded.get(content);
    if (decoded === undefined) {
      decoded = this.#decodedNow(content);
      this.#decoded.set(content, decoded);
    }
    return decoded;
  }

  #decodedNow(content: Content): Decoded {
    switch (content.name) {
      case 'bytes':
        return this.#value(content.bytes, undefined);
      case 'foreign':
        return this.#value(content.bytes, content.encoding);
      case 'broken':
        return { name: 'failed', reason: content.reason };
      default:
        return { name: 'unheld' };
    }
  }

  #value(payload: Buffer, encoding: string | undefined): Decoded {
    const info = { method: this.#method, compressed: encoding !== undefined, encoding };
    try {
      const value = this.#inScope(() => this.#decode(payload, info));
      // It would be rejected with nobody there, which ends the process.
      if (types.isPromise(value)) void whenSettled(value, () => {}, warn);
      return { name: 'value', value };
    } catch (error) {
      return { name: 'failed', reason: reasonOf(error) };
    }
  }
}

function withReason(relation: Relation, reason: string): Relation {
  return relation.name === 'same' ? relation : { ...relation, reason };
}

function reasonOf(error: unknown): string {
  return shownText(`decode failed: ${StatusError.from(error).message}`);
}
