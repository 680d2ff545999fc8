import type { Frame } from './frame.js';

const FRAME_HEADER_LENGTH = 9;

/** Cuts what comes in on a connection into frames, right or wrong. */
export class FrameReader {
  /** The connection preface of a client, as far as it has come. */
  preface: Buffer = Buffer.alloc(0);
  /** The octets of a frame that is not complete. */
  rest: Buffer = Buffer.alloc(0);

  /** @param prefaceLength the octets before the first frame: those of CLIENT_PREFACE where a client sends */
  constructor(private readonly prefaceLength: number) {}

  push(chunk: Buffer): Frame[] {
    const skipped = Math.min(this.prefaceLength - this.preface.length, chunk.length);
    if (skipped > 0) this.preface = Buffer.concat([this.preface, chunk.subarray(0, skipped)]);
    let bytes = chunk.subarray(skipped);
    if (this.rest.length > 0) bytes = Buffer.concat([this.rest, bytes]);
    const frames: Frame[] = [];
    while (bytes.length >= FRAME_HEADER_LENGTH) {
      const end = FRAME_HEADER_LENGTH + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      frames.push({
        type: bytes[3]!,
        flags: bytes[4]!,
        streamId: bytes.readUInt32BE(5) & 0x7fffffff,
        payload: bytes.subarray(FRAME_HEADER_LENGTH, end),
      });
      bytes = bytes.subarray(end);
    }
    this.rest = bytes;
    return frames;
  }
}
