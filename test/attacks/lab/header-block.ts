import { Flag, FrameType, frame } from '../../support/frame.js';
import { fieldBlock } from '../../support/hpack.js';

/** What a frame carries unless SETTINGS say otherwise. */
const FRAME_OCTETS = 16_384;

/** Fields of any length: HEADERS, and as many CONTINUATION frames as it takes, on a stream. */
export function headerBlock(fields: readonly string[], endStream: boolean): (streamId: number) => Buffer {
  const block = fieldBlock(fields);
  const pieces: Buffer[] = [];
  for (let at = 0; at < block.length; at += FRAME_OCTETS) pieces.push(block.subarray(at, at + FRAME_OCTETS));
  return (streamId) =>
    Buffer.concat(
      pieces.map((piece, index) => {
        const isFirst = index === 0;
        const endFlag = isFirst && endStream ? Flag.END_STREAM : 0;
        const flags = endFlag | (index === pieces.length - 1 ? Flag.END_HEADERS : 0);
        return frame(isFirst ? FrameType.HEADERS : FrameType.CONTINUATION, flags, streamId, piece);
      }),
    );
}
