import type { CallContext } from '../call/context.js';
import type { Metadata } from '../grpc/metadata.js';
import type { StatusError } from '../grpc/status.js';
import { checkedBytes, checkedFlag, checkFunction, checkOptions, type OptionNames } from '../port/options.js';
import type { RetryPolicy } from './retry-policy.js';

/**
 * How the calls to backends are made. `onHeaders`, `onTrailers` and `onFinish` are called for each destination; one of
 * them alone is better looked at by its `observer`. What they throw is emitted as a process warning; the call goes on.
 */
export interface CallOptions {
  /**
   * Wait for a connection, for as long as the deadline allows, when none can be made; by default the call fails
   * with UNAVAILABLE.
   */
  readonly waitForReady?: boolean | undefined;
  /** `:authority` of the request; by default the backend's own. */
  readonly authority?: string | undefined;
  /**
   * Sends the `:authority` that the client asked for; `authority` goes before it. By default, and if it is false, as
   * the option of `dial()` says.
   */
  readonly preserveAuthority?: boolean | undefined;
  /**
   * When the call to the backend must have ended, as a Date or milliseconds since the epoch; an earlier deadline of the
   * context goes before it. By default that is the only one.
   */
  readonly deadline?: number | Date | undefined;
  /** The longest message sent to the backend, in bytes; RESOURCE_EXHAUSTED beyond. No limit by default. */
  readonly maxSendMessageBytes?: number | undefined;
  /** The longest message taken from the backend, in bytes; RESOURCE_EXHAUSTED beyond. No limit by default. */
  readonly maxReceiveMessageBytes?: number | undefined;
  /** Metadata that is added to each call, a token say; what it throws fails the call. None by default. */
  readonly credentials?: ((ctx: CallContext) => Metadata | Promise<Metadata>) | undefined;
  /** When the call to the primary is tried again that its backend has failed; by default never. */
  readonly retry?: RetryPolicy | undefined;
  /** Called with the metadata of the response headers; by default nobody is. */
  readonly onHeaders?: ((metadata: Metadata) => void) | undefined;
  /** Called with the metadata of the trailers, whatever the status; by default nobody is. */
  readonly onTrailers?: ((metadata: Metadata) => void) | undefined;
  /** Called once, at the end, with the call's error unless it ended OK; by default nobody is. */
  readonly onFinish?: ((error: StatusError | undefined) => void) | undefined;
}

const NAMES: OptionNames<CallOptions> = {
  waitForReady: true,
  authority: true,
  preserveAuthority: true,
  deadline: true,
  maxSendMessageBytes: true,
  maxReceiveMessageBytes: true,
  credentials: true,
  retry: true,
  onHeaders: true,
  onTrailers: true,
  onFinish: true,
};

const NONE: CallOptions = {};

/**
 * The options of a call, if there are any: most calls have none, which costs them nothing. Authority, deadline and retry are
 * checked where they are read.
 *
 * @throws TypeError or RangeError, which names it, for one that makes no sense
 */
export function checkedCallOptions(options: CallOptions | undefined): CallOptions {
  if (options === undefined) return NONE;
  checkOptions(options, NAMES, 'callOptions');
  checkedFlag('callOptions.waitForReady', options.waitForReady, false);
  checkedFlag('callOptions.preserveAuthority', options.preserveAuthority, false);
  checkedBytes('callOptions.maxSendMessageBytes', options.maxSendMessageBytes, Infinity);
  checkedBytes('callOptions.maxReceiveMessageBytes', options.maxReceiveMessageBytes, Infinity);
  checkFunction('callOptions.credentials', options.credentials);
  checkFunction('callOptions.onHeaders', options.onHeaders);
  checkFunction('callOptions.onTrailers', options.onTrailers);
  checkFunction('callOptions.onFinish', options.onFinish);
  return options;
}
