import type { Code } from '../../grpc/status.js';

/** What a comparison says of one destination's answer, once: when that and the primary's have ended, or it cannot be known. */
export type ResponseVerdict = ComparedResponse &
  (
    | {
        /** Nothing that is compared differs. */
        readonly result: 'same';
        /** Undefined: there is no difference. */
        readonly at?: undefined;
      }
    | ({
        /**
         * `different`: and not where the baseline differs, if there is one. `noise`: only there. Either tells the first
         * such difference.
         */
        readonly result: 'different' | 'noise';
      } & ResponseDifference)
    | {
        /** It cannot be known: an answer was cut off, or a bound was reached. */
        readonly result: 'inconclusive';
        /** Which of these, and where the answers differed before, if they did. */
        readonly reason: string;
        /** Undefined: it is not known. */
        readonly at?: undefined;
      }
  );

/** Whose answer was compared with the primary's. */
export interface ComparedResponse {
  /** `/service/method` of the call. */
  readonly method: string;
  /** The target that the destination was dialled by. */
  readonly target: string;
  /** The destination's role; `baseline` for the one that says what is noise. */
  readonly role: string;
}

/** Where two answers differ, and what the primary and the other one have there. Texts are cut to 200 characters. */
export type ResponseDifference =
  | {
      /** One ended with another code than the other. */
      readonly at: 'status';
      /** The primary's. */
      readonly primary: Code;
      /** The other one's. */
      readonly other: Code;
    }
  | {
      /** One message is another than the other's. */
      readonly at: 'message';
      /** Which message, from 0. */
      readonly index: number;
      /**
       * Of values that were decoded: the place, as `items[3].id`; empty for the whole. Unset where the bytes were
       * compared.
       */
      readonly path?: string;
      /**
       * The first byte that differs, from 0, of the content without compression. Unset where it is not known: messages
       * over 256 KiB are not held, nor many at once.
       */
      readonly offset?: number;
      /** Why the bytes were compared though there is a `decode`, or the content could not be. */
      readonly reason?: string;
      /** The primary's message. */
      readonly primary: ComparedMessage;
      /** The other one's. */
      readonly other: ComparedMessage;
    }
  | {
      /** One has more messages than the other. */
      readonly at: 'messages';
      /** The first that the other lacks, from 0. */
      readonly index: number;
      /** How many the primary has. */
      readonly primary: number;
      /** How many the other one has. */
      readonly other: number;
    }
  | {
      /** A field of `options.metadata` differs. */
      readonly at: 'headers' | 'trailers';
      /** The field. */
      readonly name: string;
      /** Its values at the primary, in order; empty if there is none. */
      readonly primary: readonly string[];
      /** The same at the other one. */
      readonly other: readonly string[];
    };

/** A message in a verdict. */
export interface ComparedMessage {
  /** How many bytes it has, as they came. */
  readonly length: number;
  /** Its Compressed-Flag. */
  readonly compressed: boolean;
  /** The first 128 bits of the SHA-256 of these bytes, in hexadecimal; where there is neither a path nor an offset. */
  readonly digest?: string;
  /** What is at the path, as text. */
  readonly value?: string;
}
