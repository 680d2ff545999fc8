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

/** What comparing responses may cost. */
export const COMPARE_LIMITS = {
  /** How many messages one side may be ahead of another: 10 000 small ones take 5 MB. */
  maxOutstanding: 10_000,
  /**
   * What one answer's messages may hold while they wait for the other's, to tell where in a message they differ: as much
   * as a stream's window, beyond which large messages are not worth it.
   */
  heldBytes: 256 * 1024,
  /** The same where nothing can be said without all of a message: it is to be inflated, or decoded. */
  wholeBytes: DEFAULT_MAX_MESSAGE_BYTES,
  /** What all comparisons of the process may hold together. */
  totalBytes: 64 * 1024 * 1024,
  /** Longer texts in verdicts are cut. */
  maxShownCharacters: 200,
  /** Decoded values are walked through this far: for some 10 ms. */
  maxValues: 100_000,
  maxDepth: 100,
  /** Of the places where a baseline's message differs, so many are remembered for as long as it is compared. */
  maxPlaces: 1000,
  /** Methods that are counted apart. */
  maxMethods: 1000,
};
