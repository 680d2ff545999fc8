import type { CallContext } from '../call/context.js';
import type { ServerStream } from './server-stream.js';

/**
 * Handles one call. It ends OK when the handler returns (or its promise resolves), and with the error's status
 * when it throws; anything but a `StatusError` is UNKNOWN.
 */
export type StreamHandler = (stream: ServerStream) => void | Promise<void>;

/**
 * Runs around a handler: `next()` runs the next interceptor or the handler, and settles with its outcome.
 * What an interceptor throws is the call's status; without `next()` the handler, and the director, never run.
 *
 * @param next may be given a context derived from `stream.context`, which it puts in that one's place: what is further
 *   inside, the director, the backends and observers get its metadata, method and values, and its deadline and signals end the
 *   call. The handler stays that of the method which the client asked for. Throws a TypeError for anything but a context of
 *   this call
 */
export type StreamInterceptor = (
  stream: ServerStream,
  next: (context?: CallContext) => Promise<void>,
) => void | Promise<void>;
