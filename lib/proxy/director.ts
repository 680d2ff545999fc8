import type { CallContext } from '../call/context.js';
import type { CallOptions } from '../client/call-options.js';
import type { ClientConn } from '../client/client-conn.js';
import type { StatusError } from '../grpc/status.js';
import type { ClientHttp2Session } from '../transport/http2/node-types.js';
import type { StreamPeeker } from './peeker.js';
import type { ResponseObserver } from './response-observer.js';

/**
 * Decides where a call goes. Runs once per call, as soon as its headers are in, after all interceptors. What it
 * throws is the call's status: a `StatusError` as it is, anything else as UNKNOWN.
 *
 * @param ctx the call's metadata, deadline and cancellation
 * @param fullMethodName `/service/method`
 * @param peeker reads the first messages, for routing by content, without taking them from the destinations
 */
export type StreamDirector = (
  ctx: CallContext,
  fullMethodName: string,
  peeker: StreamPeeker,
) => StreamParameters | Promise<StreamParameters>;

/** A director's answer. */
export interface StreamParameters {
  /** Answers the client. */
  readonly primary: Destination;
  /**
   * Get every message too, and must succeed too: the call ends when all of them have ended. Their responses are
   * dropped.
   */
  readonly secondaries?: readonly Destination[] | undefined;
  /**
   * Runs once, when the outcome is known, whether it is an error or not. What it throws is the call's status, if
   * nothing else failed.
   */
  readonly requestFinalizer?: ((error: StatusError | undefined) => void | Promise<void>) | undefined;
  /** For the calls to all destinations. */
  readonly callOptions?: CallOptions | undefined;
}

/**
 * What an error handler answers: an error fails the call with it, `null` swallows the failure, and nothing leaves it as
 * it is, so that the failure fails the call.
 */
export type ErrorVerdict = Error | null | undefined | void;

/** One backend of a call. */
export interface Destination {
  /** Its connections, from `dial()`; or a session of `node:http2` that you connected and will close. */
  readonly conn: ClientConn | ClientHttp2Session;
  /** Metadata, deadline and cancellation of the call to it; by default the incoming call's. */
  readonly ctx?: CallContext | undefined;
  /** Replaces the first message, for this destination alone; uncompressed. */
  readonly msg?: Uint8Array | undefined;
  /**
   * Is told of the failure of this destination, and decides what it means: return `null` to go on as if it had
   * succeeded; another error to fail the call with that; the same or nothing to fail it with this one. What it throws
   * counts as returned. If the primary's stream cannot be opened, the handlers of all destinations are told, and the
   * call fails whatever they return.
   */
  readonly errHandler?: ((error: StatusError) => ErrorVerdict | Promise<ErrorVerdict>) | undefined;
  /** Sees the response of this destination, a secondary's too. */
  readonly observer?: ResponseObserver | undefined;
}
