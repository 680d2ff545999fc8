import net from 'node:net';

/** One HTTP/2 frame (RFC 9113 section 4.1). */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export const FrameType = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7 } as const;
export const END_STREAM = 0x1;
export const ACK = 0x1;
const END_HEADERS = 0x4;

/** A client that writes and sees frames themselves, where a library would hide them or answer on its own. */
export class RawHttp2Client {
  readonly frames: RawFrame[] = [];
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  #unread: Buffer = Buffer.alloc(0);
  #onFrame: (() => void) | undefined;

  constructor(port: number) {
    const socket = net.connect(port, '127.0.0.1');
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#read(chunk));
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    this.send(FrameType.SETTINGS, 0, 0);
  }

  send(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): void {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header[3] = type;
    header[4] = flags;
    header.writeUInt32BE(streamId, 5);
    this.#socket.write(Buffer.concat([header, payload]));
  }

  /** The HEADERS of a gRPC call. */
  request(streamId: number, path: string, endStream = false): void {
    const fields: [string, string][] = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'localhost'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
    ];
    const block = Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
    this.send(FrameType.HEADERS, END_HEADERS | (endStream ? END_STREAM : 0), streamId, block);
  }

  /** Waits for the `count`th frame that has this type, without ACK for SETTINGS and PING. */
  async frame(type: number, count = 1): Promise<RawFrame> {
    for (;;) {
      const found = this.frames.filter((frame) => frame.type === type)[count - 1];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#onFrame = resolve;
      });
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length >= 9) {
      const end = 9 + this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < end) break;
      const [type, flags] = [this.#unread[3]!, this.#unread[4]!];
      const streamId = this.#unread.readUInt32BE(5);
      const frame = { type, flags, streamId, payload: this.#unread.subarray(9, end) };
      this.#unread = this.#unread.subarray(end);
      if (type === FrameType.SETTINGS && flags !== ACK) this.send(FrameType.SETTINGS, ACK, 0);
      if ((type !== FrameType.SETTINGS && type !== FrameType.PING) || flags !== ACK) this.frames.push(frame);
    }
    this.#onFrame?.();
  }
}

/** A string literal of HPACK, not Huffman-coded (RFC 7541 section 5.2); shorter than 127 bytes. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
}
