import type { CallContext } from '../call/context.js';
import type { CallOptions } from '../client/call-options.js';
import type { ClientConn } from '../client/client-conn.js';
import type { Metadata } from '../grpc/metadata.js';
import type { StatusError } from '../grpc/status.js';
import { didYouMean } from '../port/did-you-mean.js';
import { ownError, shown, wrongType } from '../port/errors.js';
import type { StreamPeeker } from '../server/peeker.js';
import type { ClientHttp2Session } from '../transport/http2/node-types.js';
import type { RequestObserver } from './request-observer.js';
import type { ResponseObserver } from './response-observer.js';

/**
 * Decides where a call goes. Runs once per call, as soon as its headers are in, after all interceptors. What it
 * throws is the call's status: a `StatusError` as it is, anything else as UNKNOWN.
 *
 * @param ctx the call's metadata, deadline and cancellation
 * @param fullMethodName `/service/method`
 * @param peeker reads the first messages, for routing by content, without taking them from the destinations
 * @category Start here
 */
export type StreamDirector = (
  ctx: CallContext,
  fullMethodName: string,
  peeker: StreamPeeker,
) => StreamParameters | Promise<StreamParameters>;

/**
 * A director's answer: where a call goes.
 *
 * @category Start here
 */
export interface StreamParameters {
  /** Answers the client. */
  readonly primary: Destination;
  /**
   * Get every message too, and must succeed too: the call ends when all of them have ended, or, of a
   * {@link SecondaryQuorum}, enough. Their responses are dropped. None by default.
   */
  readonly secondaries?: Secondaries | undefined;
  /**
   * Get every message too, as far as they can take it without holding anybody back; nothing of them reaches the call. None by
   * default.
   */
  readonly shadows?: readonly ShadowDestination[] | undefined;
  /**
   * Runs once, when the outcome is known, whether it is an error or not. What it throws is the call's status, if
   * nothing else failed. None by default.
   */
  readonly requestFinalizer?: ((error: StatusError | undefined) => void | Promise<void>) | undefined;
  /** For the calls to all destinations; see {@link CallOptions} for the defaults. */
  readonly callOptions?: CallOptions | undefined;
  /** A name for the way that the call takes, which its outcome has: for metrics and logs. None by default. */
  readonly route?: string | undefined;
  /** Sees the messages that the client sends; by default nobody does. */
  readonly requestObserver?: RequestObserver | undefined;
  /**
   * Changes the metadata of the response headers before the client gets them, also of an answer that has none but a
   * status (Trailers-Only). If it throws, or returns a promise, that is a process warning, and there is no metadata. By
   * default they are the primary's, with what `stream.setHeader()` adds.
   */
  readonly editResponseHeaders?: ((metadata: Metadata) => void) | undefined;
  /**
   * Changes the metadata of the trailers before the client gets them, whatever has ended the call; of a Trailers-Only answer
   * after {@link editResponseHeaders}. Code and message stay as they are. If it throws, or returns a promise, that is a
   * process warning, and there is no metadata. By default they are the primary's, with what `stream.setTrailer()` adds.
   *
   * @param error what the call has failed with; undefined for OK
   */
  readonly editResponseTrailers?: ((metadata: Metadata, error: StatusError | undefined) => void) | undefined;
}

/**
 * Secondaries of which not all need succeed. As soon as enough have and the primary has ended, so does the call; the others
 * get the rest of a request that was complete, and may answer for 10 s. One that is slow, or connecting, holds the
 * client back only while too few others can go on; else it is left behind, by 1 MiB at most.
 */
export interface SecondaryQuorum {
  /** The secondaries. */
  readonly of: readonly Destination[];
  /** How many must succeed, from 1 to all; a failure that its `errHandler` swallows by `null` is a success. */
  readonly need: number;
}

/** All of which must succeed, or enough. */
export type Secondaries = readonly Destination[] | SecondaryQuorum;

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
  /** Replaces the first message, for this destination alone; uncompressed. By default it gets what the client sent. */
  readonly msg?: Uint8Array | undefined;
  /**
   * Is told of the failure of this destination, and decides what it means: return `null` to go on as if it had
   * succeeded; another error to fail the call with that; the same or nothing to fail it with this one. What it throws
   * counts as returned. If the primary's stream cannot be opened, the handlers of all destinations are told, and the
   * call fails whatever they return. By default the failure is as it is: the primary's own status, a secondary's as INTERNAL.
   */
  readonly errHandler?: ((error: StatusError) => ErrorVerdict | Promise<ErrorVerdict>) | undefined;
  /** Sees the response of this destination, a secondary's too. By default nobody does. */
  readonly observer?: ResponseObserver | undefined;
}

/**
 * A backend that gets a copy of a call, and never harms it (unless they share a `conn`, and so the room that the backend
 * gives its streams): it holds nobody back, its answer is dropped, and its failure
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
  /**
   * Draws by this text instead of by chance: calls with the same one are all in, or all out, for each shadow alike. By
   * default it is chance.
   */
  readonly sampleKey?: string | undefined;
}

/** Whether a director's answer is one, as far as the types' word is worth: it is the application's. */
export function isParameters(
  answer: StreamParameters | Promise<StreamParameters>,
): answer is StreamParameters {
  return (answer as Partial<StreamParameters> | null | undefined)?.primary !== undefined;
}

/** What a director's answer lacks that is none. */
export function noPrimary(answer: unknown): TypeError {
  const names = typeof answer === 'object' && answer !== null ? Object.keys(answer) : [];
  const meant = names.find((name) => didYouMean(name, ['primary']) !== undefined);
  const hint = meant === undefined ? '' : ` (did you mean primary by ${shown(meant)}?)`;
  return ownError('ERR_INVALID_ARG_TYPE', `the director named no primary destination${hint}`);
}

/**
 * Whether secondaries are a quorum, and no list.
 *
 * @throws TypeError for what is neither, for the types' word is worth nothing
 */
export function isQuorum(secondaries: Secondaries): secondaries is SecondaryQuorum {
  const { of, [Symbol.iterator]: isList } = Object(secondaries) as Partial<SecondaryQuorum & Destination[]>;
  if (of === undefined && typeof isList !== 'function') {
    throw wrongType('secondaries', 'an array of destinations, or { of, need }', secondaries);
  }
  return of !== undefined;
}
