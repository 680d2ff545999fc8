import type { ConnectionOptions, TlsOptions } from 'node:tls';
import type { DialAddress, ListenAddress } from '../../../lib/port/address.js';
import type {
  ClientConnection,
  ConnectionOwner,
  ServerTransport,
  StreamAcceptor,
} from '../../../lib/port/connection.js';
import type { ConnectionEnd } from '../../../lib/port/connection-end.js';
import { type HeaderList, headerValue } from '../../../lib/port/headers.js';
import { keep } from '../../../lib/port/lent-memory.js';
import type { IncomingStream, Stream, StreamReceiver, StreamReset } from '../../../lib/port/stream.js';
import { BackendKeepalive } from '../../../lib/transport/backend-keepalive.js';
import { checkedLimits } from '../../../lib/transport/check-limits.js';
import { ClientTls } from '../../../lib/transport/client-tls.js';
import { FramesDialer } from '../../../lib/transport/frames/dialer.js';
import { FramesServerTransport } from '../../../lib/transport/frames/server-transport.js';
import {
  DEFAULT_DIAL_LIMITS,
  DEFAULT_SERVER_LIMITS,
  type DialLimits,
  type GivenLimits,
  type ServerLimits,
} from '../../../lib/transport/limits.js';
import type { DialerOptions } from '../../../lib/transport/options.js';
import { ServerTls } from '../../../lib/transport/server-tls.js';
import { REQUEST } from '../../support/fields.js';
import { FrameBackend, type OnConnection } from '../../support/frame-backend.js';

/** Options as tests give them: what they leave out is as it is by default. */
interface Limited<Limits> {
  readonly limits?: GivenLimits<Limits> | undefined;
}
export type ServerOptions = Limited<ServerLimits> & { readonly tls?: TlsOptions | undefined };
export type ClientOptions = Limited<DialLimits> & {
  readonly tls?: ConnectionOptions | undefined;
  readonly firstStreamId?: number;
};

type Test = { teardown(fn: () => unknown): void };

const LOOPBACK: ListenAddress = { host: '127.0.0.1', port: 0 };

/** Answers each request with its own path, its body and OK. */
export class Echo implements StreamReceiver {
  constructor(private readonly stream: Stream) {}

  static onStream(stream: IncomingStream, headers: HeaderList, endStream: boolean): void {
    const echo = new Echo(stream);
    stream.receiver = echo;
    stream.sendHeaders([':status', '200', 'x-path', headerValue(headers, ':path') ?? ''], false);
    stream.resume();
    if (endStream) echo.onEnd();
  }

  onHeaders(): void {
    this.onEnd();
  }
  onData(chunk: Buffer): void {
    if (!this.stream.sendData(chunk, false)) this.stream.pause();
  }
  onEnd(): void {
    this.stream.sendHeaders(['grpc-status', '0'], true);
  }
  onReset(): void {}
  onDrain(): void {
    this.stream.resume();
  }
}

/** What has come on a stream, told as it comes. */
export class Recorder implements StreamReceiver {
  stream!: Stream;
  headers: HeaderList | undefined;
  trailers: HeaderList | undefined;
  received = 0;
  readonly chunks: Buffer[] = [];
  readonly events: string[] = [];
  drained = 0;
  ended = false;
  reset: StreamReset | undefined;
  /** Why no stream could be opened. */
  end: ConnectionEnd | undefined;
  private wake: (() => void)[] = [];

  /** The code of the reset; -1 without one. */
  get resetCode(): number {
    return this.reset?.code ?? -1;
  }

  get isLost(): boolean {
    return this.reset?.lost !== undefined;
  }

  /** Waits until something holds. */
  async until(condition: (recorder: this) => boolean): Promise<this> {
    while (!condition(this)) await new Promise<void>((resolve) => this.wake.push(resolve));
    return this;
  }

  /** Waits for the end, whatever it is. */
  done(): Promise<this> {
    return this.until((r) => r.ended || r.resetCode >= 0 || r.end !== undefined);
  }

  onHeaders(headers: HeaderList, endStream: boolean): void {
    this.events.push(endStream ? 'headers+end' : 'headers');
    if (this.headers === undefined) this.headers = headers;
    else this.trailers = headers;
    if (endStream) this.ended = true;
    this.tell();
  }
  onData(chunk: Buffer): void {
    if (this.events.at(-1) !== 'data') this.events.push('data');
    this.received += chunk.length;
    this.chunks.push(keep(chunk));
    this.tell();
  }
  onEnd(): void {
    this.events.push('end');
    this.ended = true;
    this.tell();
  }
  onReset(reset: StreamReset): void {
    this.events.push('reset');
    this.reset = reset;
    this.tell();
  }
  onDrain(): void {
    this.drained++;
    this.tell();
  }

  tell(): void {
    const wake = this.wake;
    this.wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Opens a stream, sends its headers, and records what comes. */
export class Call extends Recorder {
  constructor(
    client: TestClient,
    private readonly request: HeaderList = REQUEST,
    private readonly endStream = false,
    private readonly flowing = true,
  ) {
    super();
    client.openStream(this);
  }

  /** Sends a body as fast as flow control allows, and half-closes. */
  async upload(body: Buffer, step = 65536): Promise<this> {
    await this.until((r) => r.stream !== undefined || r.end !== undefined);
    for (let start = 0; start < body.length; start += step) {
      const drained = this.drained;
      const end = Math.min(body.length, start + step);
      if (this.stream.sendData(body.subarray(start, end), end === body.length)) continue;
      if (end < body.length) await this.until((r) => r.drained > drained || r.resetCode >= 0);
    }
    return this;
  }

  onStream(stream: Stream): void {
    this.stream = stream;
    stream.receiver = this;
    stream.sendHeaders(this.request, this.endStream);
    if (this.flowing) stream.resume();
    this.tell();
  }
  onConnectionFailed(end: ConnectionEnd): void {
    this.end = end;
    this.tell();
  }
}

/** Opens calls' streams on one connection after the other, the next one made when there is no other. */
export class TestClient {
  readonly dialer: FramesDialer;
  current: TestConnection | undefined;
  readonly connections: TestConnection[] = [];
  readonly waiting: Call[] = [];

  constructor(options: DialerOptions, firstStreamId: number | undefined) {
    this.dialer = new FramesDialer(options, firstStreamId);
  }

  openStream(call: Call): void {
    this.waiting.push(call);
    this.serve();
  }

  serve(): void {
    if (this.waiting.length > 0 && this.current === undefined) {
      this.current = new TestConnection(this);
      this.connections.push(this.current);
    }
    while (this.current?.connection.hasRoom && this.waiting.length > 0) {
      this.waiting.shift()!.onStream(this.current.connection.openStream());
    }
  }

  destroy(): void {
    for (const { connection } of this.connections) connection.destroy();
  }
}

/** One connection, and what its owner has been told. */
export class TestConnection implements ConnectionOwner {
  readonly connection: ClientConnection;
  readonly events: string[] = [];
  readonly ended: Promise<ConnectionEnd>;
  private resolveEnded!: (end: ConnectionEnd) => void;

  constructor(private readonly client: TestClient) {
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
    this.connection = client.dialer.dial(this);
  }

  onReady(): void {
    this.events.push('ready');
    this.client.serve();
  }
  onRoom(): void {
    this.events.push('room');
    this.client.serve();
  }
  onGoingAway(): void {
    this.events.push('going away');
    this.leave();
  }
  onEnded(end: ConnectionEnd): void {
    this.resolveEnded(end);
    if (!this.events.includes('ready')) {
      for (const call of this.client.waiting.splice(0)) call.onConnectionFailed(end);
    }
    this.events.push('ended');
    this.leave();
  }

  private leave(): void {
    if (this.client.current === this) this.client.current = undefined;
    this.client.serve();
  }
}

/** Streams that a server has been given, each with a recorder as its receiver. */
export class Inbox implements StreamAcceptor {
  readonly streams: (Recorder & { stream: IncomingStream })[] = [];
  private wake: (() => void)[] = [];

  constructor(private readonly flowing = true) {}

  onStream(stream: IncomingStream, headers: HeaderList, endStream: boolean): void {
    const recorder = new Recorder() as Recorder & { stream: IncomingStream };
    recorder.stream = stream;
    recorder.headers = headers;
    recorder.ended = endStream;
    stream.receiver = recorder;
    if (this.flowing) stream.resume();
    this.streams.push(recorder);
    for (const resolve of this.wake.splice(0)) resolve();
  }

  /** Waits for the stream with this number, from 0 on. */
  async at(index: number): Promise<Recorder & { stream: IncomingStream }> {
    while (this.streams.length <= index) await new Promise<void>((resolve) => this.wake.push(resolve));
    return this.streams[index]!;
  }
}

export async function startServer(
  t: Test,
  acceptor: StreamAcceptor = Echo,
  options: ServerOptions = {},
): Promise<{ transport: ServerTransport; address: ListenAddress & { port: number; host: string } }> {
  const transport = new FramesServerTransport(acceptor, {
    tls: options.tls && new ServerTls(options.tls),
    limits: checkedLimits(options.limits, DEFAULT_SERVER_LIMITS, 'limits'),
  });
  const address = await transport.listen(LOOPBACK);
  t.teardown(() => transport.destroy());
  return { transport, address: address as { host: string; port: number } };
}

export function startClient(t: Test, address: DialAddress, options: ClientOptions = {}): TestClient {
  const limits = checkedLimits(options.limits, DEFAULT_DIAL_LIMITS, 'limits');
  const client = new TestClient(
    {
      address,
      serverName: 'host' in address ? address.host : 'localhost',
      tls: options.tls && new ClientTls(options.tls),
      limits,
      keepalive: new BackendKeepalive('the backend', limits.keepalive),
    },
    options.firstStreamId,
  );
  t.teardown(() => client.destroy());
  return client;
}

/** A backend that acknowledges nothing by itself. */
export async function startBackend(t: Test, onConnection?: OnConnection): Promise<FrameBackend> {
  const backend = await FrameBackend.start(onConnection);
  t.teardown(() => backend.destroy());
  return backend;
}
