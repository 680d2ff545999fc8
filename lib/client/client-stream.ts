import type { Metadata, MetadataInit } from '../grpc/metadata.js';
import type { Code } from '../grpc/status.js';
import type { RetryPolicy } from './retry-policy.js';

/** What a call that this process makes itself carries, and how it is made. */
export interface ClientStreamOptions {
  /** Metadata of the request; none by default. */
  readonly metadata?: Metadata | MetadataInit | undefined;
  /** When the call must have ended, as a Date or milliseconds since the epoch; DEADLINE_EXCEEDED then. By default never. */
  readonly deadline?: number | Date | undefined;
  /** The same as a time from now, in milliseconds; the earlier of the two counts. By default there is none. */
  readonly timeoutMilliseconds?: number | undefined;
  /** Cancels the call when it aborts; none by default. */
  readonly signal?: AbortSignal | undefined;
  /** Wait for a connection when none can be made; by default the call fails with UNAVAILABLE. */
  readonly waitForReady?: boolean | undefined;
  /** `:authority` of the request; by default the backend's own. */
  readonly authority?: string | undefined;
  /** The longest message taken, in bytes, inflated or not; RESOURCE_EXHAUSTED beyond. Default 4 MiB. */
  readonly maxReceiveMessageBytes?: number | undefined;
  /** When the call is tried again that the backend has failed; by default never. */
  readonly retry?: RetryPolicy | undefined;
}

/** How a call has ended. A `StatusError` is one, too. */
export interface CallStatus {
  /** `Code.OK`, or what it has failed with. */
  readonly code: Code;
  /** For people; empty where the call ended OK. */
  readonly message: string;
  /** The metadata of the trailers. */
  readonly trailers: Metadata;
}

/**
 * A call to a backend that this process makes itself: messages are bytes, both ways. Read its messages by async
 * iteration, to the end: the backend is held back while nobody does, and the status comes behind the last one.
 *
 *     const call = conn.call('/package.Service/Method', { timeoutMilliseconds: 1000 });
 *     await call.send(request);
 *     call.end();
 *     for await (const message of call) …
 */
export interface ClientStream extends AsyncIterable<Buffer> {
  /** `/service/method`. */
  readonly method: string;
  /**
   * The metadata of the response headers, as soon as they are there; empty if the call ended OK without any. Rejected with
   * the call's `StatusError` if it failed before; nobody need look.
   */
  readonly headers: Promise<Metadata>;
  /** How the call has ended, once it has; a `StatusError` unless it is OK. Never rejected. */
  readonly status: Promise<CallStatus>;

  /**
   * Sends a message. Resolves when there is room for more, which may be before the call has a connection to go on.
   * What is no message, or comes after {@link end}, fails the call with INTERNAL.
   *
   * @returns a promise that is rejected with the call's `StatusError` if that has failed, or with an Error if it ended OK
   *   without waiting for the message; nobody need look
   */
  send(payload: Uint8Array): Promise<void>;

  /** Half-closes: there are no more messages. */
  end(): void;

  /**
   * The messages, inflated if they were compressed. Throws the call's `StatusError` behind the last one unless the call
   * ended OK. To leave a loop over them early cancels the call. There is one reader: what one loop takes another does
   * not see.
   */
  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined>;

  /** Ends the call, with RST_STREAM(CANCEL) if the backend knows of it, and as CANCELLED; without effect on one that has. */
  cancel(): void;

  /** {@link cancel}, at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
