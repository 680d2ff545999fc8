import { ownError, wrongType } from '../../port/errors.js';
import { checkFunction, checkObject, checkOptions, type OptionNames } from '../../port/options.js';
import type { Destination } from '../director.js';
import { type IgnoredPath, parseIgnoredPath } from './ignored-paths.js';
import type { ResponseVerdict } from './verdict.js';

/** What is known of a message that is to be decoded. */
export interface DecodeInfo {
  /** `/service/method` of the call. */
  readonly method: string;
  /** The payload is still compressed, because its encoding is none that is known here: neither gzip nor deflate. */
  readonly compressed: boolean;
  /** By which: the value of `grpc-encoding`. Undefined if it is not compressed. */
  readonly encoding: string | undefined;
}

/** How responses are compared. Make it once: what it says is read when it is first used. */
export interface CompareOptions {
  /**
   * Is told what came of each destination but the primary, once; see {@link ResponseVerdict}. The {@link baseline} is told
   * of, too, by its role: `different`, where it differs from the primary.
   */
  readonly onVerdict: (verdict: ResponseVerdict) => void;
  /**
   * Names of fields of response headers and trailers that must be the same, too, `grpc-message` say. None by default:
   * dates and ids seldom are.
   */
  readonly metadata?: readonly string[] | undefined;
  /**
   * A second backend of the primary's version, by the `conn` of its destination: places where it differs from the
   * primary in a call say nothing of others that differ there. None by default: all that differs is `different`.
   */
  readonly baseline?: Destination['conn'] | undefined;
  /**
   * Makes a value of a message's bytes, so that messages are compared by field. Asked only where the bytes differ, of
   * the uncompressed content, which it must not write to. If it throws, or its values cannot be compared, the bytes
   * count. Up to 4 MiB of an answer's messages are held for it; of more is said that it is inconclusive. None by default:
   * the bytes count.
   */
  readonly decode?: ((payload: Buffer, info: DecodeInfo) => unknown) | undefined;
  /**
   * Places in decoded values that may differ: `created_at`, `items[].id` for those of all elements, `a.*.b` for those
   * of all keys. What is below such a place is ignored with it. None by default.
   */
  readonly ignore?: readonly string[] | undefined;
}

/** The same, checked. */
export interface CompareSettings {
  readonly onVerdict: CompareOptions['onVerdict'];
  /** In lower case, each once. */
  readonly metadata: readonly string[];
  readonly baseline: CompareOptions['baseline'];
  readonly decode: CompareOptions['decode'];
  readonly ignore: readonly IgnoredPath[];
}

const COMPARE_OPTIONS: OptionNames<CompareOptions> = {
  onVerdict: true,
  metadata: true,
  baseline: true,
  decode: true,
  ignore: true,
};

/** @throws TypeError for an option that makes no sense */
export function checkedSettings(options: CompareOptions): CompareSettings {
  checkOptions(options, COMPARE_OPTIONS);
  const { onVerdict, metadata = [], baseline, decode, ignore = [] } = options;
  if (typeof onVerdict !== 'function') throw wrongType('options.onVerdict', 'a function', onVerdict);
  checkFunction('options.decode', decode);
  // A destination, say, is never found by its conn, so that each verdict would be inconclusive.
  if (baseline !== undefined) checkObject('options.baseline', 'the conn of a destination', baseline, 'close');
  if (!areTexts(metadata)) throw wrongType('options.metadata', 'an array of names', metadata);
  if (!areTexts(ignore)) throw wrongType('options.ignore', 'an array of paths', ignore);
  if (ignore.length > 0 && decode === undefined) {
    throw ownError('ERR_INVALID_ARG_VALUE', 'options.ignore needs options.decode: bytes have no paths');
  }
  return {
    onVerdict,
    metadata: [...new Set(metadata.map((name) => name.toLowerCase()))],
    baseline,
    decode,
    ignore: ignore.map(parseIgnoredPath),
  };
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
