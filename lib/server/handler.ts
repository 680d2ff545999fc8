import type { ServerStream } from './server-stream.js';

/**
 * Handles one call. It ends OK when the handler returns (or its promise resolves), and with the error's status
 * when it throws; anything but a `StatusError` is UNKNOWN.
 */
export type StreamHandler = (stream: ServerStream) => void | Promise<void>;

/**
 * Runs around a handler: `next()` runs the next interceptor or the handler, and settles with its outcome.
 * What an interceptor throws is the call's status; without `next()` the handler, and the director, never run.
 */
export type StreamInterceptor = (stream: ServerStream, next: () => Promise<void>) => void | Promise<void>;
