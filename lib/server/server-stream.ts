import type { CallContext } from '../call/context.js';
import type { Message } from '../grpc/framing.js';
import type { Metadata, MetadataInit } from '../grpc/metadata.js';
import type { StatusError } from '../grpc/status.js';
import type { PeekOptions } from './peeker.js';

/**
 * One call, as handlers and interceptors see it.
 *
 * A handler reads the messages by async iteration, answers with {@link sendHeader}, {@link sendMessage} and
 * {@link setTrailer}, and ends the call by returning, or by throwing a `StatusError`. What {@link setHeader} and
 * {@link setTrailer} add also goes with a backend's answer: before `next()`, or from anywhere while the call runs.
 */
export interface ServerStream extends AsyncIterable<Buffer> {
  /**
   * Replace it to hand on a derived context, as `next(context)` of an interceptor does; a director gets it, and destinations by
   * default. Its deadline and its signals end the call (DEADLINE_EXCEEDED, CANCELLED), unless the director has
   * answered before. Anything but a context of this call is
   * refused with a TypeError.
   */
  context: CallContext;
  /** `/service/method`. */
  readonly method: string;
  /** When the client gives up, as milliseconds since the epoch; undefined: never. The server sees to it. */
  readonly deadline: number | undefined;
  /** Whether the client has half-closed, and everything it sent has been delivered. */
  readonly inputEnded: boolean;
  /** Whether response headers have gone out. */
  readonly headersSent: boolean;
  /** Why the client no longer waits for the call, once it does not: CANCELLED or DEADLINE_EXCEEDED. */
  readonly cancelled: StatusError | undefined;

  /**
   * The first messages, by default one, as {@link StreamPeeker.peek} gives them, at most `maxReceiveMessageBytes` together:
   * they are not consumed, and the call can be handled here or proxied afterwards. Not after either has begun.
   * {@link inputEnded} says behind it what `StreamPeeker.ended` does.
   */
  peek(count?: number, options?: PeekOptions): Promise<Message[]>;

  /**
   * The client's messages, inflated if they were compressed, each at most `maxReceiveMessageBytes`. Ends when
   * the client half-closes; throws a `StatusError` when it cancels, the deadline passes, or the bytes are no
   * messages. A call whose messages have been asked for here can't be proxied any more.
   */
  [Symbol.asyncIterator](): AsyncIterator<Buffer>;

  /**
   * Sends the response headers, with this metadata, by default none. The first message sends them anyway. A call
   * that has been answered so can't be proxied any more.
   *
   * @throws Error if they have been sent (`ERR_HEADERS_SENT`), the call has ended (`ERR_CALL_ENDED`), or it is proxied
   *   (`ERR_CALL_PROXIED`); TypeError for what is no metadata, nor can be made to be
   */
  sendHeader(metadata?: Metadata | MetadataInit): void;

  /**
   * Sends a message, and the headers before it if need be. Resolves when the client has room for more.
   *
   * @throws StatusError if the client no longer waits for the call; Error if the call has ended (`ERR_CALL_ENDED`), or is
   *   proxied (`ERR_CALL_PROXIED`)
   */
  sendMessage(payload: Uint8Array): Promise<void>;

  /**
   * Adds metadata to the response headers, behind what they have: a backend's, where the call is proxied, or those of
   * {@link sendHeader}. Several calls add to each other. A call that would have had none before its status (Trailers-Only)
   * gets response headers by that.
   *
   * @throws Error (`ERR_HEADERS_SENT`) if they have been sent; TypeError for what is no metadata, nor can be made to be. Without
   *   effect once the call has ended
   */
  setHeader(metadata: Metadata | MetadataInit): void;

  /**
   * Adds metadata to the trailers, behind what they have: a backend's, where the call is proxied, and those of a
   * `StatusError`, whatever ends the call. Several calls add to each other. Without effect once the call has ended.
   *
   * @throws TypeError for what is no metadata, nor can be made to be
   */
  setTrailer(metadata: Metadata | MetadataInit): void;
}
