import { DEFAULT_MAX_MESSAGE_BYTES } from '../grpc/framing.js';

/** What calls to backends do unless they are told otherwise. */
export const CLIENT_DEFAULTS = {
  /** What is read here is held in memory. */
  maxReceiveMessageBytes: DEFAULT_MAX_MESSAGE_BYTES,
  /** A connection that is lost takes a hundred calls with it at the usual SETTINGS_MAX_CONCURRENT_STREAMS of 100. */
  retryMaxTokens: 200,
  /** In the long run, one call of ten is made once more ("tokenRatio" in gRFC A6's example). */
  retryTokenRatio: 0.1,
} as const;
