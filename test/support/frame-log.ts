import { type HeaderList, headerValue } from '../../lib/grpc/headers.js';
import { MessageScanner } from '../../lib/index.js';
import { Flag, FrameType } from '../../lib/transport/frames/frame.js';
import { HeaderDecoder } from '../../lib/transport/frames/hpack/decoder.js';
import type { RawFrame } from '../transport/frames/raw-peer.js';

/** What one side of a stream has said. */
export class StreamLog {
  readonly lists: HeaderList[] = [];
  ended = false;
  reset = false;
  /** The octets of a DATA frame that is not complete. */
  #begun: Buffer = Buffer.alloc(0);
  readonly #chunks: Buffer[] = [];

  constructor(readonly id: number) {}

  add(chunk: Buffer): void {
    // What follows the end is no part of it.
    if (!this.ended) this.#chunks.push(chunk);
    this.#begun = Buffer.alloc(0);
  }

  begin(octets: Buffer): void {
    if (!this.ended) this.#begun = octets;
  }

  /** What may have been passed on so far. */
  get begun(): Buffer {
    return Buffer.concat([...this.#chunks, this.#begun]);
  }

  get data(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** The status of a gRPC response that is complete. */
  get status(): string | undefined {
    const last = this.lists.at(-1);
    return this.ended && last !== undefined ? headerValue(last, 'grpc-status') : undefined;
  }

  get isWholeMessages(): boolean {
    const scanner = new MessageScanner();
    try {
      scanner.push(this.data);
      scanner.end();
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * Reads one direction of a connection, right or wrong, as leniently as possible: what it has not seen, nobody can
 * have been told.
 */
export class FrameLog {
  readonly frames: RawFrame[] = [];
  readonly streams = new Map<number, StreamLog>();
  /** A field block that can't be decoded: nothing behind it has a meaning. */
  broken = false;
  readonly #decoder = new HeaderDecoder(4096, 1e6);
  #rest: Buffer = Buffer.alloc(0);
  #block: Buffer[] = [];
  #blockEnds = false;

  constructor(
    private skip: number,
    private readonly onFrame: (frame: RawFrame, stream: StreamLog | undefined) => void = () => {},
  ) {}

  push(chunk: Buffer): void {
    const skipped = Math.min(this.skip, chunk.length);
    this.skip -= skipped;
    let bytes = chunk.subarray(skipped);
    if (this.#rest.length > 0) bytes = Buffer.concat([this.#rest, bytes]);
    while (!this.broken && bytes.length >= 9) {
      const end = 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      const streamId = bytes.readUInt32BE(5) & 0x7fffffff;
      this.#take({ type: bytes[3]!, flags: bytes[4]!, streamId, payload: bytes.subarray(9, end) });
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    if (bytes.length > 9 && bytes[3] === FrameType.DATA) {
      const padding = (bytes[4]! & Flag.PADDED) !== 0 ? 1 : 0;
      this.stream(bytes.readUInt32BE(5) & 0x7fffffff).begin(bytes.subarray(9 + padding));
    }
  }

  stream(id: number): StreamLog {
    let stream = this.streams.get(id);
    if (stream === undefined) {
      stream = new StreamLog(id);
      this.streams.set(id, stream);
    }
    return stream;
  }

  #take(frame: RawFrame): void {
    const { type, flags, streamId } = frame;
    this.frames.push(frame);
    const stream = streamId === 0 ? undefined : this.stream(streamId);
    if (stream !== undefined) {
      if (type === FrameType.DATA) {
        stream.add(unpadded(frame, 0));
        if ((flags & Flag.END_STREAM) !== 0) stream.ended = true;
      } else if (type === FrameType.HEADERS) {
        this.#block = [unpadded(frame, (flags & Flag.PRIORITY) !== 0 ? 5 : 0)];
        this.#blockEnds = (flags & Flag.END_STREAM) !== 0;
        if ((flags & Flag.END_HEADERS) !== 0) this.#decode(stream);
      } else if (type === FrameType.CONTINUATION) {
        this.#block.push(frame.payload);
        if ((flags & Flag.END_HEADERS) !== 0) this.#decode(stream);
      } else if (type === FrameType.RST_STREAM) {
        stream.reset = true;
      }
    }
    this.onFrame(frame, stream);
  }

  #decode(stream: StreamLog): void {
    const block = Buffer.concat(this.#block);
    try {
      const list = this.#decoder.decode(block, 0, block.length);
      if (!stream.ended) stream.lists.push(list);
      if (this.#blockEnds) stream.ended = true;
    } catch {
      this.broken = true;
    }
  }
}

function unpadded({ flags, payload }: RawFrame, skip: number): Buffer {
  if ((flags & Flag.PADDED) === 0) return payload.subarray(skip);
  return payload.subarray(1 + skip, Math.max(1 + skip, payload.length - (payload[0] ?? 0)));
}
