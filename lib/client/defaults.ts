/** What `dial()` does unless it is told otherwise. */
export const CLIENT_DEFAULTS = {
  /** "MIN_CONNECT_TIMEOUT, 20 seconds" is what gRPC's connection-backoff.md gives an attempt at least. */
  connectTimeoutMilliseconds: 20_000,
  /** Enough for ten thousand calls at the usual SETTINGS_MAX_CONCURRENT_STREAMS of 100. */
  maxConnections: 100,
  /** Calls that may wait for a connection: at some 5 KB for each, less than what a connection may hold. */
  maxWaitingCalls: 10_000,
} as const;
