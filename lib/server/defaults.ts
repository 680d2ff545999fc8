import { DEFAULT_MAX_MESSAGE_BYTES } from '../grpc/framing.js';

/** What a `Server` does unless it is told otherwise. */
export const SERVER_DEFAULTS = {
  transport: 'http2',
  maxReceiveMessageBytes: DEFAULT_MAX_MESSAGE_BYTES,
} as const;
