import type { Socket } from 'node:net';
import { HeaderDecoder } from '../../lib/transport/frames/hpack/decoder.js';
import {
  CLIENT_PREFACE,
  ErrorCode,
  errorCode,
  Flag,
  type Frame,
  FrameType,
  ping,
  pingAck,
  SETTINGS_ACK,
  type SettingPair,
  settings,
} from './frame.js';
import { FrameReader } from './frame-reader.js';
import { CLEARTEXT, type Wire } from './wire.js';

/** What a test waited for can't come any more. */
export class ConnectionClosed extends Error {}

/** One end of an HTTP/2 connection whose every frame the test sees and decides. It keeps no rule by itself. */
export class FramePeer {
  /** What has come in, in order, but for what `next` has taken. */
  readonly frames: Frame[] = [];
  /** Resolves when the connection has closed. */
  readonly closed: Promise<void>;
  /**
   * Acknowledges SETTINGS and PING as they come, as peers must. SETTINGS that come before the test has sent anything
   * are acknowledged then: its own must be first.
   */
  acknowledges = false;
  isClosed = false;
  readonly #reader: FrameReader;
  readonly #decoder = new HeaderDecoder(4096, 1e6);
  /** Acknowledgements that wait until the test has sent something. */
  #early: Buffer[] | undefined = [];
  #roundTrips = 0;
  #waiting: (() => void)[] = [];

  constructor(
    readonly socket: Socket,
    private readonly role: 'client' | 'server',
  ) {
    this.#reader = new FrameReader(role === 'server' ? CLIENT_PREFACE.length : 0);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  /** Connects to a port of the loopback interface as a client that has said nothing yet. */
  static async connect({ port }: { readonly port: number }, wire: Wire = CLEARTEXT): Promise<FramePeer> {
    return new FramePeer(await wire.connect(port), 'client');
  }

  /** Connects as a client, and exchanges prefaces. */
  static async client(at: { readonly port: number }, ...pairs: readonly SettingPair[]): Promise<FramePeer> {
    return (await FramePeer.connect(at)).exchangePrefaces(...pairs);
  }

  /** Sends the connection preface (RFC 9113 section 3.4), and waits until both sides' SETTINGS are acknowledged. */
  async exchangePrefaces(...pairs: readonly SettingPair[]): Promise<this> {
    this.send(...(this.role === 'client' ? [CLIENT_PREFACE] : []), settings(...pairs));
    await this.next((f) => f.type === FrameType.SETTINGS && f.flags === 0);
    if (!this.acknowledges) this.send(SETTINGS_ACK);
    await this.next((f) => f.type === FrameType.SETTINGS && f.flags === Flag.ACK);
    return this;
  }

  /** What the client has sent before its first frame. */
  get preface(): string {
    return this.#reader.preface.toString('latin1');
  }

  /** Sends frames, or any bytes, in one piece. */
  send(...frames: readonly Buffer[]): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    this.socket.write(Buffer.concat([...frames, ...early]));
  }

  /** The frames of a stream so far, by type. */
  of(streamId: number, type?: number): Frame[] {
    return this.frames.filter((f) => f.streamId === streamId && (type === undefined || f.type === type));
  }

  /** Whether the other side has half-closed a stream. */
  hasEnded(streamId: number): boolean {
    return this.of(streamId).some(
      ({ type, flags }) => type <= FrameType.HEADERS && (flags & Flag.END_STREAM) !== 0,
    );
  }

  /** Waits until something holds. Rejects when the connection has closed and it does not. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.isClosed) throw new ConnectionClosed(`connection closed; frames: ${this.#describe()}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The first frame of a stream that has this type; waits for it, and leaves it in `frames`. */
  async first(streamId: number, type: number): Promise<Frame> {
    await this.until(() => this.of(streamId, type).length > 0);
    return this.of(streamId, type)[0]!;
  }

  /** The first frame of that kind; waits for it, and takes it out of `frames`. */
  async next(wanted: (frame: Frame) => boolean): Promise<Frame> {
    await this.until(() => this.frames.some(wanted));
    return this.frames.splice(this.frames.findIndex(wanted), 1)[0]!;
  }

  async nextOf(streamId: number, type: number): Promise<Frame> {
    return this.next((f) => f.type === type && f.streamId === streamId);
  }

  /** The next list of fields on a stream. */
  async nextHeaders(streamId: number): Promise<string[]> {
    const { payload } = await this.nextOf(streamId, FrameType.HEADERS);
    return this.#decoder.decode(payload, 0, payload.length);
  }

  /** The code of the GOAWAY that ends the connection, once it is closed. */
  async goAwayCode(): Promise<number> {
    const goAway = await this.next((f) => f.type === FrameType.GOAWAY && errorCode(f) !== ErrorCode.NO_ERROR);
    await this.closed;
    return errorCode(goAway);
  }

  async resetCode(streamId: number): Promise<number> {
    return errorCode(await this.nextOf(streamId, FrameType.RST_STREAM));
  }

  /** Waits until the other side has seen all that was sent. */
  async roundTrip(): Promise<void> {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(++this.#roundTrips);
    this.send(ping(payload));
    await this.next((f) => f.type === FrameType.PING && f.flags === Flag.ACK && f.payload.equals(payload));
  }

  /** Frames by which the other side objects to something. */
  get objections(): Frame[] {
    return this.frames.filter(
      (f) =>
        f.type === FrameType.RST_STREAM ||
        (f.type === FrameType.GOAWAY && errorCode(f) !== ErrorCode.NO_ERROR),
    );
  }

  destroy(): void {
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    for (const frame of this.#reader.push(chunk)) {
      this.frames.push(frame);
      if (this.acknowledges && (frame.flags & Flag.ACK) === 0) this.#acknowledge(frame);
    }
    this.#wake();
  }

  #acknowledge({ type, payload }: Frame): void {
    if (type === FrameType.PING) this.send(pingAck(payload));
    if (type !== FrameType.SETTINGS) return;
    if (this.#early === undefined) this.send(SETTINGS_ACK);
    else this.#early.push(SETTINGS_ACK);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #describe(): string {
    return this.frames
      .map(({ type, streamId, payload }) => {
        const text = payload.toString('latin1', 8, 60);
        return `${type}/${streamId} ${payload.toString('hex', 0, 8)} ${text}`;
      })
      .join(', ');
  }
}
