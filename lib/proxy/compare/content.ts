import { decompress } from '../../grpc/compression.js';
import { Code, StatusError } from '../../grpc/status.js';
import { COMPARE_LIMITS } from '../defaults.js';
import { digestOf, type MessageSummary, newHash } from './message-summary.js';

/** What a message says, as far as that can be known. */
export type Content =
  /** These bytes, not compressed. */
  | { readonly name: 'bytes'; readonly bytes: Buffer }
  /** Bytes, not compressed, of which there is only a digest. */
  | { readonly name: 'digest'; readonly digest: string }
  /** It is compressed, and cannot be inflated by anybody. */
  | { readonly name: 'broken'; readonly reason: string }
  /** It is compressed, by an encoding that is none of ours. */
  | {
      readonly name: 'foreign';
      readonly bytes: Buffer;
      readonly encoding: string | undefined;
      readonly reason: string;
    }
  /** It is compressed, and too large to be held, or to be inflated. */
  | { readonly name: 'unknown'; readonly reason: string };

/** The content of a message that has been kept; a promise if it is to be inflated. */
export function contentOf(summary: MessageSummary, encoding: string | undefined): Content | Promise<Content> {
  const { bytes } = summary;
  if (!summary.compressed) {
    return bytes === undefined ? { name: 'digest', digest: summary.digest } : { name: 'bytes', bytes };
  }
  if (bytes === undefined) return { name: 'unknown', reason: 'a compressed message is too large to be held' };
  return inflated(bytes, encoding);
}

async function inflated(bytes: Buffer, encoding: string | undefined): Promise<Content> {
  try {
    return { name: 'bytes', bytes: await decompress(bytes, encoding, COMPARE_LIMITS.wholeBytes) };
  } catch (error) {
    const { code, message: reason } = StatusError.from(error);
    switch (code) {
      case Code.INTERNAL:
        return { name: 'broken', reason };
      case Code.UNIMPLEMENTED:
        return { name: 'foreign', bytes, encoding, reason };
      default:
        return { name: 'unknown', reason };
    }
  }
}

/** How two contents are to each other. */
export type Relation =
  | { readonly name: 'same' }
  /** From `offset` on, if that can be told. */
  | { readonly name: 'different'; readonly offset: number | undefined; readonly reason: string | undefined }
  | { readonly name: 'unknown'; readonly reason: string };

export const SAME: Relation = { name: 'same' };

/** Compares two contents whose messages differ as they came. */
export function relationOf(a: Content, b: Content): Relation {
  // Compressed bytes that differ may say the same.
  if (a.name === 'foreign' || a.name === 'unknown') return { name: 'unknown', reason: a.reason };
  if (b.name === 'foreign' || b.name === 'unknown') return { name: 'unknown', reason: b.reason };
  if (a.name === 'broken') return differ(undefined, a.reason);
  if (b.name === 'broken') return differ(undefined, b.reason);
  if (a.name === 'bytes' && b.name === 'bytes') {
    return a.bytes.equals(b.bytes) ? SAME : differ(firstDifference(a.bytes, b.bytes), undefined);
  }
  const isSame = digestOfContent(a) === digestOfContent(b);
  return isSame ? SAME : differ(undefined, undefined);
}

function differ(offset: number | undefined, reason: string | undefined): Relation {
  return { name: 'different', offset, reason };
}

function digestOfContent(content: Extract<Content, { name: 'bytes' | 'digest' }>): string {
  return content.name === 'digest' ? content.digest : digestOf(newHash().update(content.bytes));
}

function firstDifference(a: Buffer, b: Buffer): number {
  const length = Math.min(a.length, b.length);
  let offset = 0;
  while (offset < length && a[offset] === b[offset]) offset++;
  return offset;
}
