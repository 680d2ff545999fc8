/** What a channel may ask of its backend; the docs and defaults are those of `DialLimits`. */
export interface ChannelLimits {
  readonly maxConnections: number;
  readonly maxWaitingCalls: number;
  readonly maxConcurrentCalls: number;
  readonly idleTimeoutMilliseconds: number;
  readonly resolutionIntervalMilliseconds: number;
}
