import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';

/** Frame types of HTTP/2 (RFC 9113 section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
} as const;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

/** Settings by their identifiers (RFC 9113 section 6.5.2). */
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Header fields; an array is a repeated one. */
export type Fields = Readonly<Record<string, string | readonly string[]>>;

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const FRAME_HEADER_LENGTH = 9;
const LARGE_WINDOW = 2 ** 30;

/**
 * One end of an HTTP/2 connection whose every frame the test sees and decides. It acknowledges SETTINGS and PING
 * by itself, and nothing else.
 */
export class FrameConnection {
  /** What has come in, in order. */
  readonly frames: Frame[] = [];
  /** Whether PINGs are answered. */
  answersPings = true;
  readonly socket: Socket;
  #input = Buffer.alloc(0);
  #skip: number;
  #settingsSent = false;
  #unacknowledged = 0;
  #waiting: (() => void)[] = [];

  constructor(socket: Socket, isServer: boolean) {
    this.socket = socket;
    this.#skip = isServer ? PREFACE.length : 0;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    if (!isServer) socket.write(PREFACE);
  }

  static async connect(port: number, settings: Readonly<Record<number, number>> = {}) {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const connection = new FrameConnection(socket, false);
    connection.settings({ [INITIAL_WINDOW_SIZE]: LARGE_WINDOW, ...settings });
    connection.windowUpdate(0, LARGE_WINDOW);
    return connection;
  }

  send(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): void {
    const header = Buffer.alloc(FRAME_HEADER_LENGTH);
    header.writeUIntBE(payload.length, 0, 3);
    header[3] = type;
    header[4] = flags;
    header.writeUInt32BE(streamId, 5);
    this.socket.write(Buffer.concat([header, payload]));
  }

  settings(values: Readonly<Record<number, number>>): void {
    const entries = Object.entries(values);
    const payload = Buffer.alloc(entries.length * 6);
    entries.forEach(([id, value], index) => {
      payload.writeUInt16BE(Number(id), index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    });
    this.send(FrameType.SETTINGS, 0, 0, payload);
    this.#settingsSent = true;
    for (; this.#unacknowledged > 0; this.#unacknowledged--) this.send(FrameType.SETTINGS, ACK, 0);
  }

  headers(streamId: number, fields: Fields, endStream = false): void {
    this.send(FrameType.HEADERS, END_HEADERS | (endStream ? END_STREAM : 0), streamId, headerBlock(fields));
  }

  data(streamId: number, payload: Buffer, endStream = false): void {
    this.send(FrameType.DATA, endStream ? END_STREAM : 0, streamId, payload);
  }

  reset(streamId: number, code: number): void {
    this.send(FrameType.RST_STREAM, 0, streamId, uint32(code));
  }

  goaway(lastStreamId: number, code = 0): void {
    this.send(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code)]));
  }

  windowUpdate(streamId: number, increment: number): void {
    this.send(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
  }

  /** The frames of a stream so far, by type. */
  of(streamId: number, type?: number): Frame[] {
    return this.frames.filter(
      (frame) => frame.streamId === streamId && (type === undefined || frame.type === type),
    );
  }

  /** Resolves once `condition` holds; it is asked again with every frame, and at the end of the connection. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The next frame of a stream and type, or the first if it has come already. */
  async first(streamId: number, type: number): Promise<Frame> {
    await this.until(() => this.of(streamId, type).length > 0);
    return this.of(streamId, type)[0]!;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    this.#input = Buffer.concat([this.#input, chunk.subarray(skipped)]);
    while (this.#input.length >= FRAME_HEADER_LENGTH) {
      const end = FRAME_HEADER_LENGTH + this.#input.readUIntBE(0, 3);
      if (this.#input.length < end) return;
      const frame: Frame = {
        type: this.#input[3]!,
        flags: this.#input[4]!,
        streamId: this.#input.readUInt32BE(5),
        payload: this.#input.subarray(FRAME_HEADER_LENGTH, end),
      };
      this.#input = this.#input.subarray(end);
      this.frames.push(frame);
      this.#acknowledge(frame);
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const resolve of waiting) resolve();
    }
  }

  #acknowledge({ type, flags, payload }: Frame): void {
    if ((flags & ACK) !== 0) return;
    if (type === FrameType.SETTINGS) {
      // SETTINGS must come first.
      if (this.#settingsSent) this.send(FrameType.SETTINGS, ACK, 0);
      else this.#unacknowledged++;
    }
    if (type === FrameType.PING && this.answersPings) this.send(FrameType.PING, ACK, 0, payload);
  }
}

/** A backend whose every frame the test decides; the test must send the SETTINGS, too. */
export class FrameBackend {
  readonly connections: FrameConnection[] = [];
  readonly #server: net.Server;

  private constructor(server: net.Server) {
    this.#server = server;
  }

  static async start(onConnection: (connection: FrameConnection) => void): Promise<FrameBackend> {
    const server = net.createServer((socket) => {
      const connection = new FrameConnection(socket, true);
      backend.connections.push(connection);
      onConnection(connection);
    });
    const backend = new FrameBackend(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening. */
  async close(): Promise<void> {
    this.destroy();
    await once(this.#server, 'close');
  }

  destroy(): void {
    this.#server.close();
    for (const connection of this.connections) connection.destroy();
  }
}

/** Fields as HPACK literals without indexing (RFC 7541 section 6.2.2), nothing Huffman-coded. */
export function headerBlock(fields: Fields): Buffer {
  const parts: Buffer[] = [];
  for (const [name, values] of Object.entries(fields)) {
    for (const value of [values].flat()) parts.push(Buffer.of(0), hpackString(name), hpackString(value));
  }
  return Buffer.concat(parts);
}

/** The code of an RST_STREAM frame. */
export function resetCode(frame: Frame): number {
  return frame.payload.readUInt32BE(0);
}

/** DATA of frames, joined. */
export function dataOf(frames: readonly Frame[]): Buffer {
  return Buffer.concat(frames.map((frame) => frame.payload));
}

export const REQUEST_HEADERS = {
  ':method': 'POST',
  ':scheme': 'http',
  ':path': '/test.Service/Method',
  ':authority': 'test',
  'content-type': 'application/grpc',
  te: 'trailers',
} as const;

export const RESPONSE_HEADERS = { ':status': '200', 'content-type': 'application/grpc' } as const;

function hpackString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  // An integer with a 7-bit prefix (RFC 7541 section 5.1).
  if (bytes.length < 127) {
    length.push(bytes.length);
  } else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
