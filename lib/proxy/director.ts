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
  /** Get every message too, as far as they can take it without holding anybody back; nothing of them reaches the call. */
  readonly shadows?: readonly ShadowDestination[] | undefined;
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

/**
 * A backend that gets a copy of a call, and never harms it: it holds nobody back, its answer is dropped, and its failure
 * fails nothing; `errHandler` is told of that, of lag and of an expired grace, and what it returns means nothing. What
 * makes no sense here is told it, too, or else emitted as a process warning. A shadow gets either the whole request, or
 * a reset (CANCEL).
 */
export interface ShadowDestination extends Destination {
  /**
   * What may be held for it in this process while it takes less than the primary and the secondaries, in bytes; above
   * that it is reset. Default 1 MiB.
   */
  readonly maxLagBytes?: number | undefined;
  /**
   * How long it may go on after the end of a call whose request was complete, in milliseconds; at most 2^31-1. Default
   * 10 s.
   */
  readonly graceMilliseconds?: number | undefined;
  /** The share of the calls that it gets, from 0 to 100; by default all. Each shadow draws for itself. */
  readonly percent?: number | undefined;
  /** Draws by this text instead of by chance: calls with the same one are all in, or all out, for each shadow alike. */
  readonly sampleKey?: string | undefined;
}
