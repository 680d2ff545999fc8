import net, { type Socket } from 'node:net';
import { HeaderDecoder } from '../../../lib/transport/frames/hpack/decoder.js';
import {
  CLIENT_PREFACE,
  errorCode,
  Flag,
  type Frame,
  FrameType,
  pingAck,
  resetStream,
  SETTINGS_ACK,
  Setting,
  type SettingPair,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { FrameReader } from '../../support/frame-reader.js';

const DEFAULT_WINDOW = 65_535;

/**
 * One end of an HTTP/2 connection that is told every frame to send, and keeps none that it gets, so that an attack can
 * last. It acknowledges SETTINGS and PING, as long as it reads.
 */
export class RawConnection {
  /** Frames that came in, by type. */
  readonly counts: number[] = new Array(10).fill(0);
  /** The code of a GOAWAY that has come. */
  goAway: number | undefined;
  readonly resetCodes = new Map<number, number>();
  isClosed = false;
  readonly closed: Promise<void>;
  /** DATA octets that have come. */
  dataBytes = 0;
  onFrame: ((frame: Frame) => void) | undefined;
  readonly #reader: FrameReader;
  readonly #decoder = new HeaderDecoder(4096, 1e6);
  #nextStreamId = 1;
  /** What the peer lets this side send. */
  #connectionWindow = DEFAULT_WINDOW;
  #streamWindow = DEFAULT_WINDOW;
  #hasSettings = false;
  #waiting: (() => void)[] = [];

  constructor(
    readonly socket: Socket,
    role: 'client' | 'server',
    private readonly signal?: AbortSignal,
  ) {
    signal?.addEventListener('abort', this.#wake);
    this.#reader = new FrameReader(role === 'server' ? CLIENT_PREFACE.length : 0);
    socket.setNoDelay(true);
    // What ends it is seen at its close.
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const frame of this.#reader.push(chunk)) this.#onFrame(frame);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.isClosed = true;
        signal?.removeEventListener('abort', this.#wake);
        this.#wake();
        resolve();
      });
    });
  }

  /** Connects as a client, with a connection window that never ends, and knows the other side's SETTINGS. */
  static async connect(
    port: number,
    signal: AbortSignal,
    ...pairs: readonly SettingPair[]
  ): Promise<RawConnection> {
    const connection = new RawConnection(net.connect(port, '127.0.0.1'), 'client', signal);
    connection.send(CLIENT_PREFACE, settings(...pairs), windowUpdate(0, 2 ** 30));
    await connection.until(() => connection.#hasSettings);
    return connection;
  }

  /** The other side has not said that it goes away. */
  get isUsable(): boolean {
    return !this.isClosed && this.goAway === undefined && this.#nextStreamId < 2 ** 31 - 1;
  }

  /** An id for a new stream. */
  nextStream(): number {
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    return id;
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.writable) return;
    this.socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  /** Waits until something holds, the connection has closed, or the signal aborts. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.isClosed && this.signal?.aborted !== true) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Waits until so many octets of DATA may go on a stream that has sent none, and takes them from the windows. */
  async credit(octets: number): Promise<number> {
    const wanted = Math.min(octets, this.#streamWindow);
    // Others wait, too: what one has seen another may have taken.
    while (!this.take(wanted) && !this.isClosed && this.signal?.aborted !== true) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return wanted;
  }

  /** Takes octets from the connection's window, if it has as many. */
  take(octets: number): boolean {
    if (this.#connectionWindow < octets) return false;
    this.#connectionWindow -= octets;
    return true;
  }

  /** The fields of a HEADERS frame; they must be asked for in order, since HPACK has a state. */
  fieldsOf({ payload }: Frame): string[] {
    return this.#decoder.decode(payload, 0, payload.length);
  }

  reset(streamId: number, code: number): void {
    this.send(resetStream(streamId, code));
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #onFrame(frame: Frame): void {
    const { type, flags, streamId, payload } = frame;
    if (type < this.counts.length) this.counts[type]!++;
    if (type === FrameType.DATA) this.dataBytes += payload.length;
    else if (type === FrameType.RST_STREAM) {
      const code = errorCode(frame);
      this.resetCodes.set(code, (this.resetCodes.get(code) ?? 0) + 1);
    } else if (type === FrameType.GOAWAY) this.goAway = errorCode(frame);
    else if (type === FrameType.PING && (flags & Flag.ACK) === 0) this.send(pingAck(payload));
    else if (type === FrameType.SETTINGS && (flags & Flag.ACK) === 0) this.#obey(payload);
    else if (type === FrameType.WINDOW_UPDATE && streamId === 0) {
      this.#connectionWindow += payload.readUInt32BE(0);
    }
    this.onFrame?.(frame);
  }

  #obey(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) === Setting.INITIAL_WINDOW_SIZE) {
        this.#streamWindow = payload.readUInt32BE(at + 2);
      }
    }
    this.#hasSettings = true;
    this.send(SETTINGS_ACK);
  }

  readonly #wake = (): void => {
    for (const resolve of this.#waiting.splice(0)) resolve();
  };
}
