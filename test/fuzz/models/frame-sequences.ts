import fc from 'fast-check';
import { REQUEST } from '../../support/fields.js';
import {
  data,
  END,
  FrameType,
  frame,
  goAway,
  headers,
  PING,
  resetStream,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { fieldBlock } from '../../support/hpack.js';

/** Sequences of frames, right and wrong ones. */

const streamId = fc.constantFrom(1, 1, 3, 3, 5, 7, 9, 11, 0, 2);
const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const flags = fc.constantFrom(0, 1, 4, 5, 8, 9, 0x0d, 0x20, 0x25, 0x2d);

/** Frames that are mostly in place, and some that never are. */
const anyFrame: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(streamId, fc.constantFrom(4, END)).map(([id, flags]) => headers(id, REQUEST, flags)),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(streamId, octets, fc.constantFrom(0, 0, 1)).map(([id, d, f]) => data(id, d, f)),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(streamId, fc.integer({ min: 1, max: 40_000 }))
      .map(([id, length]) =>
        Buffer.concat(
          Array.from({ length: Math.ceil(length / 16384) }, (_, i) =>
            data(id, Buffer.alloc(Math.min(16384, length - 16384 * i), 1)),
          ),
        ),
      ),
  },
  { weight: 2, arbitrary: streamId.map((id) => headers(id, ['x-trailer', 'a'], END)) },
  {
    weight: 2,
    arbitrary: streamId.map((id) => {
      const block = fieldBlock(REQUEST);
      return Buffer.concat([
        frame(FrameType.HEADERS, 1, id, block.subarray(0, 7)),
        frame(FrameType.CONTINUATION, 4, id, block.subarray(7)),
      ]);
    }),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(streamId, fc.nat({ max: 13 })).map(([id, code]) => resetStream(id, code)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(streamId, fc.nat({ max: 2 ** 31 - 1 })).map(([id, n]) => windowUpdate(id, n)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 8 }), fc.nat({ max: 70_000 }))
      .map((pair) => settings(pair)),
  },
  { weight: 1, arbitrary: fc.constant(PING) },
  { weight: 1, arbitrary: fc.constant(SETTINGS_ACK) },
  { weight: 1, arbitrary: streamId.map((id) => goAway(id, 0)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat({ max: 12 }), flags, streamId, octets)
      .map(([type, f, id, payload]) => frame(type, f, id, payload)),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(streamId, octets).map(([id, block]) => frame(FrameType.HEADERS, END, id, block)),
  },
);

/** Streams of frames, cut into pieces anywhere. */
export const frameSequences = fc.record({
  frames: fc.array(anyFrame, { maxLength: 40 }),
  cuts: fc.array(fc.nat({ max: 3000 }), { maxLength: 6 }),
});

/** The same from a server that has been sent requests on streams 1, 3 and 5. */
const responseId = fc.constantFrom(1, 1, 3, 3, 5, 7);
const anyResponseFrame: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(responseId, octets)
      .map(([id, d]) =>
        Buffer.concat([headers(id, [':status', '200']), data(id, d), headers(id, ['grpc-status', '0'], END)]),
      ),
  },
  { weight: 8, arbitrary: responseId.map((id) => headers(id, [':status', '200'])) },
  { weight: 5, arbitrary: responseId.map((id) => headers(id, ['grpc-status', '0'], END)) },
  { weight: 1, arbitrary: responseId.map((id) => headers(id, [':status', '200', 'grpc-status', '5'], END)) },
  { weight: 1, arbitrary: responseId.map((id) => headers(id, [':status', '103'])) },
  {
    weight: 5,
    arbitrary: fc.tuple(responseId, octets, fc.constantFrom(0, 0, 1)).map(([id, d, f]) => data(id, d, f)),
  },
  { weight: 2, arbitrary: anyFrame },
);

export const responseSequences = fc.record({
  frames: fc.array(anyResponseFrame, { maxLength: 20 }),
  cuts: fc.array(fc.nat({ max: 500 }), { maxLength: 4 }),
});

/** Octets of an honest connection, of which some are changed. */
export const mutatedCaptures = fc.record({
  requests: fc.integer({ min: 1, max: 6 }),
  changes: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 }),
  cuts: fc.array(fc.nat({ max: 3000 }), { maxLength: 6 }),
});

export function captureWith(requests: number, changes: readonly (readonly [number, number])[]): Buffer {
  const parts: Buffer[] = [settings([4, 100_000])];
  for (let i = 0; i < requests; i++) {
    const id = 2 * i + 1;
    parts.push(
      headers(id, [...REQUEST, 'x-a', `${i}`]),
      data(id, Buffer.alloc(50 * i + 5, 1)),
      windowUpdate(id, 100),
    );
    parts.push(i % 2 === 0 ? data(id, '', 1) : headers(id, ['x-b', 'c'], END), PING);
  }
  const bytes = Buffer.concat(parts);
  for (const [at, value] of changes) bytes[at % bytes.length] = value;
  return bytes;
}
