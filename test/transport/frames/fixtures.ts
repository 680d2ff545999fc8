import net from 'node:net';
import type { HeaderList } from '../../../lib/grpc/headers.js';
import { headerValue } from '../../../lib/grpc/headers.js';
import {
  type ClientTarget,
  createFramesClientTransport,
  createFramesServerTransport,
  type FramesClientOptions,
  type FramesServerOptions,
} from '../../../lib/transport/frames/index.js';
import { keep } from '../../../lib/transport/lent-memory.js';
import type {
  ClientTransport,
  IncomingStream,
  ListenAddress,
  ServerTransport,
  Stream,
  StreamAcceptor,
  StreamReceiver,
  StreamRequester,
} from '../../../lib/transport/port.js';

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
  resetCode = -1;
  connectionLost = false;
  error: Error | undefined;
  private wake: (() => void)[] = [];

  /** Waits until something holds. */
  async until(condition: (recorder: this) => boolean): Promise<this> {
    while (!condition(this)) await new Promise<void>((resolve) => this.wake.push(resolve));
    return this;
  }

  /** Waits for the end, whatever it is. */
  done(): Promise<this> {
    return this.until((r) => r.ended || r.resetCode >= 0 || r.error !== undefined);
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
  onReset(code: number, connectionLost: boolean): void {
    this.events.push('reset');
    this.resetCode = code;
    this.connectionLost = connectionLost;
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

export const REQUEST_HEADERS: HeaderList = [
  ...[':method', 'POST'],
  ...[':scheme', 'http'],
  ...[':path', '/service/Method'],
  ...[':authority', 'localhost'],
  ...['te', 'trailers'],
];

/** Opens a stream, sends its headers, and records what comes. */
export class Call extends Recorder implements StreamRequester {
  constructor(
    transport: ClientTransport,
    private readonly request: HeaderList = REQUEST_HEADERS,
    private readonly endStream = false,
    private readonly flowing = true,
  ) {
    super();
    transport.openStream(this);
  }

  /** Sends a body as fast as flow control allows, and half-closes. */
  async upload(body: Buffer, step = 65536): Promise<this> {
    await this.until((r) => r.stream !== undefined || r.error !== undefined);
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
  onConnectError(error: Error): void {
    this.error = error;
    this.tell();
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
  options: FramesServerOptions = {},
): Promise<{ transport: ServerTransport; address: ListenAddress & { port: number; host: string } }> {
  const transport = createFramesServerTransport(options, acceptor);
  const address = await transport.listen(LOOPBACK);
  t.teardown(() => transport.destroy());
  return { transport, address: address as { host: string; port: number } };
}

export function startClient(
  t: Test,
  target: ClientTarget,
  options: FramesClientOptions = {},
): ClientTransport {
  const transport = createFramesClientTransport(target, options);
  t.teardown(() => transport.destroy());
  return transport;
}

/** A server that does nothing but accept connections. */
export class RawServer {
  private readonly accepted: net.Socket[] = [];
  private readonly waiting: ((socket: net.Socket) => void)[] = [];
  connections = 0;

  private constructor(
    readonly server: net.Server,
    readonly target: { host: string; port: number },
  ) {}

  static async listen(t: Test): Promise<RawServer> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const raw = new RawServer(server, { host: '127.0.0.1', port });
    const sockets = new Set<net.Socket>();
    server.on('connection', (socket) => {
      raw.connections++;
      sockets.add(socket);
      const waiting = raw.waiting.shift();
      if (waiting === undefined) raw.accepted.push(socket);
      else waiting(socket);
    });
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return raw;
  }

  accept(): Promise<net.Socket> {
    const socket = this.accepted.shift();
    return socket === undefined
      ? new Promise((resolve) => this.waiting.push(resolve))
      : Promise.resolve(socket);
  }
}
