/** What the benchmark's own ends need of HTTP/2's framing layer (RFC 9113 section 4.1 and 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8 } as const;

export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
};

export const FRAME_HEADER_LENGTH = 9;

/** SETTINGS_MAX_FRAME_SIZE as it is unless a peer says more. */
export const MAX_FRAME_LENGTH = 16_384;

export const MAX_WINDOW = 2 ** 31 - 1;

export const DEFAULT_WINDOW = 65_535;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function writeFrameHeader(
  into: Buffer,
  offset: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  into.writeUIntBE(length, offset, 3);
  into[offset + 3] = type;
  into[offset + 4] = flags;
  into.writeUInt32BE(streamId, offset + 5);
}

/** SETTINGS with these pairs. */
export function settingsPayload(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return payload;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
