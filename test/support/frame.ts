import { Flag, FrameType } from '../../lib/transport/frames/frame.js';
import { fieldBlock } from './hpack.js';

/** HTTP/2 frames (RFC 9113 sections 4 and 6), made and read whatever the rules say. */

export { ErrorCode } from '../../lib/port/error-code.js';
export { CLIENT_PREFACE, Flag, FrameType } from '../../lib/transport/frames/frame.js';

/** Settings by their identifiers (section 6.5.2). */
export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

export type SettingPair = readonly [identifier: number, value: number];

/** The flags of HEADERS that are a whole message, or its trailers. */
export const END = Flag.END_STREAM | Flag.END_HEADERS;

/** A frame as it is on the wire. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** @param payload bytes, or their hexadecimal digits, with spaces or not */
export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload.replaceAll(' ', ''), 'hex') : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, body]);
}

export function headers(
  streamId: number,
  fields: readonly string[],
  flags: number = Flag.END_HEADERS,
): Buffer {
  return frame(FrameType.HEADERS, flags, streamId, fieldBlock(fields));
}

export function data(streamId: number, payload: Buffer | string, flags = 0): Buffer {
  return frame(FrameType.DATA, flags, streamId, payload);
}

export function settings(...pairs: readonly SettingPair[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  pairs.forEach(([identifier, value], i) => {
    payload.writeUInt16BE(identifier, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export function resetStream(streamId: number, code: number): Buffer {
  return frame(FrameType.RST_STREAM, 0, streamId, uint32(code));
}

export function goAway(lastStreamId: number, code: number): Buffer {
  return frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code)]));
}

export function ping(payload: Buffer): Buffer {
  return frame(FrameType.PING, 0, 0, payload);
}

export function pingAck(payload: Buffer): Buffer {
  return frame(FrameType.PING, Flag.ACK, 0, payload);
}

export const PING = ping(Buffer.from('0102030405060708', 'hex'));
export const SETTINGS_ACK = frame(FrameType.SETTINGS, Flag.ACK, 0);

/** The error code of RST_STREAM or GOAWAY. */
export function errorCode({ type, payload }: Frame): number {
  return payload.readUInt32BE(type === FrameType.GOAWAY ? 4 : 0);
}

/** What frames of DATA carry, joined. */
export function dataOf(frames: readonly Frame[]): Buffer {
  return Buffer.concat(frames.map(({ payload }) => payload));
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
