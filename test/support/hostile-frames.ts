import { encodeMessage } from '../../lib/index.js';
import {
  data,
  Flag,
  FrameType,
  frame,
  goAway,
  headers,
  PING,
  resetStream,
  SETTINGS_ACK,
  Setting,
  type SettingPair,
  settings,
  windowUpdate,
} from './frame.js';
import { fieldBlock } from './hpack.js';
import type { Random } from './random.js';

/** A frame, or some that belong together, once the stream is known. */
export type MakeFrame = (streamId: number) => Buffer;

/** Whole gRPC messages, most of them short. */
export function messages(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let left = random.int(0, 4); left > 0; left--) {
    const length = random.int(0, random.pick([0, 5, 40, 40, 3000, 3000, 60_000]));
    parts.push(encodeMessage(random.bytes(length), random.chance(0.1)));
  }
  return Buffer.concat(parts);
}

/** A few, of some kilobytes in all. */
export function shortMessages(random: Random): Buffer {
  const message = () => encodeMessage(random.bytes(random.int(0, random.pick([0, 5, 40, 3000]))));
  return Buffer.concat(Array.from({ length: random.int(0, 3) }, message));
}

/** Messages of which a part is missing, or whose prefixes lie. */
export function brokenMessages(random: Random): Buffer {
  const bytes = Buffer.concat([messages(random), encodeMessage(random.bytes(random.int(1, 100)))]);
  if (random.chance(0.5)) return bytes.subarray(0, random.int(0, bytes.length - 1));
  bytes[random.int(0, 4)] = random.int(0, 255);
  return bytes;
}

/** HEADERS, padded or with CONTINUATION now and then. */
export function headerFrames(random: Random, fields: readonly string[], endStream: boolean): MakeFrame {
  const block = Buffer.concat([sizeUpdate(random), fieldBlock(fields), extraFields(random)]);
  const flags = endStream ? Flag.END_STREAM : 0;
  const pieces = random.chance(0.2) || block.length > 16000 ? cutAnywhere(random, block, 16000) : [block];
  const [first, ...rest] = pieces;
  const padded = random.chance(0.15);
  const padding = padded ? random.int(0, 50) : 0;
  const priority = random.chance(0.1);
  const opening = Buffer.concat([
    Buffer.from(padded ? [padding] : []),
    Buffer.from(priority ? [0, 0, 0, 0, 15] : []),
    first!,
    Buffer.alloc(padding),
  ]);
  const all = flags | (padded ? Flag.PADDED : 0) | (priority ? Flag.PRIORITY : 0);
  return (id) =>
    Buffer.concat([
      frame(FrameType.HEADERS, all | (rest.length === 0 ? Flag.END_HEADERS : 0), id, opening),
      ...rest.map((piece, i) =>
        frame(FrameType.CONTINUATION, i === rest.length - 1 ? Flag.END_HEADERS : 0, id, piece),
      ),
    ]);
}

function sizeUpdate(random: Random): Buffer {
  // 0, 15, or 2 octets; RFC 7541 section 6.3.
  return Buffer.from(random.chance(0.05) ? random.pick([[0x20], [0x2f], [0x3f, 0x81, 0x1f]]) : []);
}

/** Fields that enter the dynamic table, are taken from it, or are long. */
function extraFields(random: Random): Buffer {
  const parts: Buffer[] = [];
  while (random.chance(0.25)) {
    const name = `x-${random.int(0, 9)}`;
    const length = random.pick([3, 3, 20, 300, 4000, random.chance(0.1) ? 70_000 : 9000]);
    const field = fieldBlock([name, 'v'.repeat(length)]);
    field[0] = random.pick([0, 0x10, 0x40]);
    parts.push(field);
    // The newest entry of the dynamic table.
    if (field[0] === 0x40 && length < 3000 && random.chance(0.5)) parts.push(Buffer.of(0xbe));
  }
  return Buffer.concat(parts);
}

/** DATA that carries these bytes; the last has END_STREAM if they are to end the stream. */
export function dataFrames(random: Random, body: Buffer, endStream: boolean): MakeFrame[] {
  const pieces = body.length === 0 ? [] : cutAnywhere(random, body, 16384 - 256);
  const apart = pieces.length === 0 || random.chance(0.3);
  const frames = pieces.map((piece, i): MakeFrame => {
    const flags = endStream && !apart && i === pieces.length - 1 ? Flag.END_STREAM : 0;
    if (!random.chance(0.15)) return (id) => data(id, piece, flags);
    const padding = random.int(0, 255);
    const padded = Buffer.concat([Buffer.of(padding), piece, Buffer.alloc(padding)]);
    return (id) => data(id, padded, flags | Flag.PADDED);
  });
  if (random.chance(0.1))
    frames.splice(random.int(0, Math.max(0, frames.length - 1)), 0, (id) => data(id, ''));
  if (endStream && apart) frames.push((id) => data(id, '', Flag.END_STREAM));
  return frames;
}

/** Cuts bytes into pieces, none longer than `most`. */
export function cutAnywhere(random: Random, bytes: Buffer, most: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = random.int(1, random.pick([10, 200, most, most]));
    // Not thousands of pieces.
    const end = at + (pieces.length > 20 ? most : Math.min(length, most));
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

/** Frames that a stream or its connection may bear, then some that none does. */
const HARMLESS: readonly ((random: Random) => MakeFrame)[] = [
  (random) => (id) => windowUpdate(id, random.int(1, 70_000)),
  (random) => () => windowUpdate(0, random.int(1, 70_000)),
  () => () => PING,
  (random) => {
    const pair = [random.pick([1, 4, 4, 4, 5, 6, 9]), random.int(0, 70_000)] as const;
    if (pair[0] === 5) return () => settings([5, 16384 + pair[1]]);
    return () => settings(pair);
  },
  (random) => {
    const payload = random.bytes(random.int(0, 30));
    return (id) => frame(random.int(0x0a, 0xff), random.int(0, 255), id, payload);
  },
  () => (id) => frame(FrameType.PRIORITY, 0, id, '00 00 00 00 10'),
  () => (id) => data(id, ''),
  (random) => {
    const code = random.int(0, 14);
    return (id) => resetStream(id, code);
  },
];

const HARMFUL: readonly ((random: Random) => MakeFrame)[] = [
  () => (id) => windowUpdate(id, 0),
  () => (id) => windowUpdate(id, 2 ** 31 - 1),
  () => () => windowUpdate(0, 2 ** 31 - 1),
  () => () => SETTINGS_ACK,
  (random) => () => settings([random.int(1, 6), random.next()]),
  () => () => frame(FrameType.SETTINGS, 0, 0, '00 01 02'),
  (random) => {
    const code = random.pick([0, 0, 2, 11]);
    return (id) => goAway(random.pick([0, id, id - 2 < 0 ? 0 : id - 2, 2 ** 31 - 1]), code);
  },
  () => (id) => frame(FrameType.PRIORITY, 0, id, '00 00 00 00'),
  () => (id) => frame(FrameType.RST_STREAM, 0, id, '00 00'),
  () => () => frame(FrameType.PING, 0, 0, '00 01 02'),
  () => (id) => frame(FrameType.CONTINUATION, 4, id, fieldBlock(['x-a', 'b'])),
  (random) => {
    const block = random.bytes(random.int(1, 40));
    return (id) => frame(FrameType.HEADERS, random.pick([4, 5]), id, block);
  },
  () => (id) => frame(FrameType.HEADERS, 1, id, fieldBlock(['x-open', 'block'])),
  () => (id) => frame(FrameType.DATA, Flag.PADDED, id, 'ff 00 00'),
  () => (id) => frame(FrameType.PUSH_PROMISE, 4, id, Buffer.concat([Buffer.of(0, 0, 0, 2), fieldBlock([])])),
  () => (id) => data(id, Buffer.alloc(16385)),
  (random) => (id) => data(id ^ random.pick([1, 2, 6]), random.bytes(10), random.int(0, 1)),
  (random) => {
    const list = random.pick([
      ['x-a', 'b'],
      ['X-UPPER', 'b'],
      [':status', '200'],
      ['connection', 'close'],
      ['grpc-status', '0'],
    ]);
    const flags = Flag.END_HEADERS | random.int(0, 1);
    return (id) => headers(id, list, flags);
  },
];

export function junkFrame(random: Random): MakeFrame {
  return random.pick(random.chance(0.6) ? HARMLESS : HARMFUL)(random);
}

/** Does something to a sequence that was right, most of the time. */
export function mangle(random: Random, frames: readonly MakeFrame[]): MakeFrame[] {
  const mangled = [...frames];
  while (random.chance(0.45)) {
    const at = random.int(0, Math.max(0, mangled.length - 1));
    const before = mangled[at] ?? (() => PING);
    switch (random.int(0, 7)) {
      case 0:
        mangled.length = Math.min(at, mangled.length);
        if (random.chance(0.6)) mangled.push(ending(random));
        break;
      case 1:
        mangled.splice(at, 1);
        break;
      case 2:
        mangled.splice(at, 0, before);
        break;
      case 3:
        mangled.splice(at, 1);
        mangled.splice(random.int(0, mangled.length), 0, before);
        break;
      case 4:
        mangled[at] = flipped(random, before);
        break;
      default:
        mangled.splice(random.int(0, mangled.length), 0, junkFrame(random));
    }
  }
  return mangled;
}

function ending(random: Random): MakeFrame {
  const code = random.pick([0, 0, 1, 2, 7, 8, 11]);
  return random.pick([(id) => resetStream(id, code), (id) => data(id, '', Flag.END_STREAM)]);
}

/** One octet of it is another. */
function flipped(random: Random, make: MakeFrame): MakeFrame {
  const [where, mask] = [random.next(), random.int(1, 255)];
  const inHeader = random.chance(0.4);
  return (id) => {
    const bytes = Buffer.from(make(id));
    bytes[where % (inHeader ? 9 : bytes.length)]! ^= mask;
    return bytes;
  };
}

/** SETTINGS to begin with. */
export function firstSettings(random: Random, ...more: SettingPair[]): Buffer {
  const pairs: SettingPair[] = [...more];
  if (random.chance(0.5))
    pairs.push([Setting.INITIAL_WINDOW_SIZE, random.int(0, random.pick([0, 10, 2000, 200_000]))]);
  if (random.chance(0.1)) pairs.push([Setting.HEADER_TABLE_SIZE, random.int(0, 8192)]);
  if (random.chance(0.1)) pairs.push([Setting.MAX_FRAME_SIZE, random.int(16384, 2 ** 24 - 1)]);
  if (random.chance(0.1)) pairs.push([Setting.MAX_HEADER_LIST_SIZE, random.int(0, 100_000)]);
  return settings(...pairs);
}
