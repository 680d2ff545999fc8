import net from 'node:net';
import type { HeaderList } from '../../../lib/grpc/headers.js';
import { CLIENT_PREFACE, ErrorCode, Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import { HeaderDecoder } from '../../../lib/transport/frames/hpack/decoder.js';
import type { ListenAddress } from '../../../lib/transport/port.js';

/** A frame as it is on the wire. */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Makes a frame, whatever the rules say. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload.replaceAll(' ', ''), 'hex') : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId >>> 0, 5);
  return Buffer.concat([header, body]);
}

/** A field block of literals without indexing. */
export function fieldBlock(fields: HeaderList): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.from([0]), text(fields[i]!), text(fields[i + 1]!));
  }
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const octets = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push(128 | (rest % 128));
  octets.push(rest);
  return Buffer.concat([Buffer.from(octets), bytes]);
}

/** A request that the engine accepts. */
export const REQUEST: HeaderList = [
  ...[':method', 'POST'],
  ...[':scheme', 'http'],
  ...[':path', '/service/Method'],
  ...[':authority', 'localhost'],
  ...['content-type', 'application/grpc'],
  ...['te', 'trailers'],
];

export function headers(streamId: number, fields: HeaderList, flags: number = Flag.END_HEADERS): Buffer {
  return frame(FrameType.HEADERS, flags, streamId, fieldBlock(fields));
}

export function data(streamId: number, payload: Buffer | string, flags = 0): Buffer {
  return frame(FrameType.DATA, flags, streamId, payload);
}

export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  pairs.forEach(([identifier, value], i) => {
    payload.writeUInt16BE(identifier, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, payload);
}

export function resetStream(streamId: number, code: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(FrameType.RST_STREAM, 0, streamId, payload);
}

export function goAway(lastStreamId: number, code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStreamId);
  payload.writeUInt32BE(code, 4);
  return frame(FrameType.GOAWAY, 0, 0, payload);
}

export const SETTINGS_ACK = frame(FrameType.SETTINGS, Flag.ACK, 0);
export const PING = frame(FrameType.PING, 0, 0, '0102030405060708');

/** A peer that speaks frames over a socket, and keeps no rule. */
export class RawPeer {
  readonly closed: Promise<void>;
  /** Frames that have come and that nobody has asked for. */
  readonly frames: RawFrame[] = [];
  private readonly decoder = new HeaderDecoder(4096, 1e6);
  private rest = Buffer.alloc(0);
  private isClosed = false;
  private roundTrips = 0;
  private wake: (() => void) | undefined;

  constructor(
    readonly socket: net.Socket,
    private prefaceLength = 0,
  ) {
    socket.on('data', (chunk: Buffer) => this.take(chunk));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        this.wake?.();
        resolve();
      });
    });
  }

  /** Connects as a client that has said nothing yet. */
  static async connect(address: ListenAddress): Promise<RawPeer> {
    const socket = net.connect(address as net.NetConnectOpts);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawPeer(socket);
  }

  /** Connects as a client, and completes the prefaces. */
  static async client(
    address: ListenAddress,
    ...pairs: readonly (readonly [number, number])[]
  ): Promise<RawPeer> {
    const peer = await RawPeer.connect(address);
    peer.send(CLIENT_PREFACE, settings(...pairs));
    await peer.next((f) => f.type === FrameType.SETTINGS && f.flags === 0);
    peer.send(SETTINGS_ACK);
    await peer.next((f) => f.type === FrameType.SETTINGS && f.flags === Flag.ACK);
    return peer;
  }

  /** The server's end of a connection that a client has just made, prefaces completed. */
  static async server(
    socket: net.Socket,
    ...pairs: readonly (readonly [number, number])[]
  ): Promise<RawPeer> {
    const peer = new RawPeer(socket, CLIENT_PREFACE.length);
    peer.send(settings(...pairs));
    await peer.next((f) => f.type === FrameType.SETTINGS && f.flags === 0);
    peer.send(SETTINGS_ACK);
    await peer.next((f) => f.type === FrameType.SETTINGS && f.flags === Flag.ACK);
    return peer;
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** The next frame of that kind; those before it stay. */
  async next(wanted: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const index = this.frames.findIndex(wanted);
      if (index >= 0) return this.frames.splice(index, 1)[0]!;
      if (this.isClosed) throw new Error(`connection closed; frames: ${this.describe()}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  async nextOf(type: number, streamId: number): Promise<RawFrame> {
    return this.next((f) => f.type === type && f.streamId === streamId);
  }

  /** The next list of fields on a stream. */
  async nextHeaders(streamId: number): Promise<HeaderList> {
    const { payload } = await this.nextOf(FrameType.HEADERS, streamId);
    return this.decoder.decode(payload, 0, payload.length);
  }

  /** The code of the GOAWAY that ends the connection, once it is closed. */
  async goAwayCode(): Promise<number> {
    const { payload } = await this.next(
      (f) => f.type === FrameType.GOAWAY && f.payload.readUInt32BE(4) !== 0,
    );
    await this.closed;
    return payload.readUInt32BE(4);
  }

  async resetCode(streamId: number): Promise<number> {
    const { payload } = await this.nextOf(FrameType.RST_STREAM, streamId);
    return payload.readUInt32BE(0);
  }

  /** Waits until the engine has seen all that was sent, and throws if it has objected. */
  async roundTrip(): Promise<void> {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.roundTrips);
    this.send(frame(FrameType.PING, 0, 0, payload));
    await this.next((f) => f.type === FrameType.PING && f.flags === Flag.ACK && f.payload.equals(payload));
  }

  /** Frames by which the engine objects to something. */
  get objections(): RawFrame[] {
    return this.frames.filter(
      (f) =>
        f.type === FrameType.RST_STREAM ||
        (f.type === FrameType.GOAWAY && f.payload.readUInt32BE(4) !== ErrorCode.NO_ERROR),
    );
  }

  close(): void {
    this.socket.destroy();
  }

  private describe(): string {
    return this.frames
      .map(
        (f) =>
          `${f.type}/${f.streamId} ${f.payload.toString('hex', 0, 8)} ${f.payload.toString('latin1', 8, 60)}`,
      )
      .join(', ');
  }

  private take(chunk: Buffer): void {
    let bytes = Buffer.concat([this.rest, chunk]);
    const skipped = Math.min(bytes.length, this.prefaceLength);
    this.prefaceLength -= skipped;
    bytes = bytes.subarray(skipped);
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const end = 9 + bytes.readUIntBE(0, 3);
      this.frames.push({
        type: bytes[3]!,
        flags: bytes[4]!,
        streamId: bytes.readUInt32BE(5),
        payload: Buffer.from(bytes.subarray(9, end)),
      });
      bytes = bytes.subarray(end);
    }
    this.rest = bytes;
    this.wake?.();
  }
}
