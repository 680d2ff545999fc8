/** Frames as RFC 9113 sections 4 and 6 lay them out. */
import type { PeerRefusalReason } from '../../port/peer-refusal.js';

/** The length of a frame header (section 4.1). */
export const FRAME_HEADER_LENGTH = 9;

/** Frame types (section 6). */
export const FrameType = {
  DATA: 0x00,
  HEADERS: 0x01,
  PRIORITY: 0x02,
  RST_STREAM: 0x03,
  SETTINGS: 0x04,
  PUSH_PROMISE: 0x05,
  PING: 0x06,
  GOAWAY: 0x07,
  WINDOW_UPDATE: 0x08,
  CONTINUATION: 0x09,
} as const;

/** Frame flags (section 6); SETTINGS' and PING's ACK shares its bit with END_STREAM. */
export const Flag = {
  END_STREAM: 0x01,
  ACK: 0x01,
  END_HEADERS: 0x04,
  PADDED: 0x08,
  PRIORITY: 0x20,
} as const;

/** The largest stream identifier, and the largest flow-control window (sections 5.1.1 and 6.9.1). */
export const MAX_31_BITS = 2 ** 31 - 1;

/** The window that every connection and stream starts with (section 6.9.2). */
export const DEFAULT_WINDOW_SIZE = 65535;

/** The SETTINGS_MAX_FRAME_SIZE that both ends start with, and that this engine keeps (section 6.5.2). */
export const DEFAULT_MAX_FRAME_SIZE = 16384;

/** What a client sends first (section 3.4). */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/**
 * A condition that "renders the entire connection unusable" (section 5.4.1): it ends in GOAWAY with this
 * code and in the connection's close.
 */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';

  /** @param refusal what a client has done so, if the code does not say it */
  constructor(
    readonly code: number,
    message: string,
    readonly refusal?: PeerRefusalReason,
  ) {
    super(message);
  }
}
