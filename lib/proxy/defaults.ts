import { DEFAULT_MAX_MESSAGE_BYTES } from '../grpc/framing.js';

/** How calls are proxied unless it is said otherwise. */
export const PROXY_DEFAULTS = {
  /** One message may be as long as those that gRPC's implementations take. */
  maxPeekBytes: DEFAULT_MAX_MESSAGE_BYTES,
  /** The call's deadline is enough. */
  peekTimeoutMilliseconds: Infinity,
  directorTimeoutMilliseconds: Infinity,
  /** As much as one client may have held for its calls. */
  maxShadowBytes: 64 * 1024 * 1024,
};

/** What a shadow may do unless it is said otherwise. */
export const SHADOW_DEFAULTS = {
  /** Some tens of round trips of a fast upload, or a connection that is being made. */
  maxLagBytes: 1024 * 1024,
  /** As long as a drain may reasonably take. */
  graceMilliseconds: 10_000,
  /** Every call. */
  percent: 100,
} as const;
