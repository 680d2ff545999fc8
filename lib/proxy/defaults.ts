import { DEFAULT_MAX_MESSAGE_BYTES } from '../grpc/framing.js';

/** How calls are proxied unless it is said otherwise. */
export const PROXY_DEFAULTS = {
  /** One message may be as long as those that gRPC's implementations take. */
  maxPeekBytes: DEFAULT_MAX_MESSAGE_BYTES,
  /** The call's deadline is enough. */
  peekTimeoutMilliseconds: Infinity,
  directorTimeoutMilliseconds: Infinity,
};
