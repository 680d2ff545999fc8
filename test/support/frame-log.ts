import { MessageScanner } from '../../lib/grpc/scanner.js';
import { HeaderDecoder } from '../../lib/transport/frames/hpack/decoder.js';
import { errorCode, Flag, type Frame, FrameType } from './frame.js';
import { FrameReader } from './frame-reader.js';
import { fieldValue } from './http2-client.js';

/** What one side of a stream has said. */
export class StreamLog {
  readonly lists: string[][] = [];
  ended = false;
  reset = false;
  /** RST_STREAM's, once that has come. */
  resetCode: number | undefined;
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
    return this.ended ? fieldValue(this.lists.at(-1), 'grpc-status') : undefined;
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
  readonly frames: Frame[] = [];
  readonly streams = new Map<number, StreamLog>();
  /** A field block that can't be decoded: nothing behind it has a meaning. */
  broken = false;
  readonly #decoder = new HeaderDecoder(4096, 1e6);
  readonly #reader: FrameReader;
  #block: Buffer[] = [];
  #blockEnds = false;

  constructor(
    prefaceLength: number,
    private readonly onFrame: (frame: Frame, stream: StreamLog | undefined) => void = () => {},
  ) {
    this.#reader = new FrameReader(prefaceLength);
  }

  push(chunk: Buffer): void {
    for (const frame of this.#reader.push(chunk)) if (!this.broken) this.#take(frame);
    const { rest: bytes } = this.#reader;
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

  #take(frame: Frame): void {
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
        if (frame.payload.length === 4) stream.resetCode = errorCode(frame);
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

function unpadded({ flags, payload }: Frame, skip: number): Buffer {
  if ((flags & Flag.PADDED) === 0) return payload.subarray(skip);
  return payload.subarray(1 + skip, Math.max(1 + skip, payload.length - (payload[0] ?? 0)));
}
