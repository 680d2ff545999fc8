import type { Socket } from 'node:net';
import type { DialOptions } from '../../../lib/client/client-conn.js';
import type { ClientConnection, ConnectionOwner } from '../../../lib/port/connection.js';
import type { ConnectionEnd } from '../../../lib/port/connection-end.js';
import type { HeaderList } from '../../../lib/port/headers.js';
import type { IncomingStream, Stream, StreamReceiver, StreamReset } from '../../../lib/port/stream.js';
import { BackendKeepalive } from '../../../lib/transport/backend-keepalive.js';
import { ClientTls } from '../../../lib/transport/client-tls.js';
import { Http2Dialer } from '../../../lib/transport/http2/dialer.js';
import { DEFAULT_DIAL_LIMITS } from '../../../lib/transport/limits.js';
import type { DialerOptions } from '../../../lib/transport/options.js';
import { REQUEST, TRAILERS } from '../../support/fields.js';
import { CLIENT_PREFACE, Setting, type SettingPair, settings, windowUpdate } from '../../support/frame.js';
import { FrameBackend, type OnConnection } from '../../support/frame-backend.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Http2Backend, type OnRequest } from '../../support/http2-backend.js';
import { SocketServer } from '../../support/socket-server.js';
import { CLEARTEXT, TLS, type Wire } from '../../support/wire.js';
import { within } from '../../support/within.js';

/** What tests run on, by its name. */
export const WIRES = { cleartext: CLEARTEXT, TLS } as const;

const LARGE_WINDOW = 2 ** 30;

/** How long anything may take that should take no time. */
const PATIENCE = 8000;

/** Lets tests wait for what happens. */
class Happenings {
  #waiting: (() => void)[] = [];

  protected happened(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves once `condition` holds; it is looked at whenever something has happened. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const wait = async (): Promise<void> => {
      while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    };
    await within(PATIENCE, what, wait());
  }
}

/** Whether a method of a connection or a stream is running: no call-back may come then. */
let inside = false;

/** Runs a method, and notes that it runs. */
export function call<T>(method: () => T): T {
  inside = true;
  try {
    return method();
  } finally {
    inside = false;
  }
}

function checkOutside(name: string): void {
  if (inside) throw new Error(`${name} was called from inside a method`);
}

/** A receiver that writes down what it gets. */
export class Received extends Happenings implements StreamReceiver {
  readonly headers: HeaderList[] = [];
  readonly chunks: Buffer[] = [];
  ended = false;
  resets: StreamReset[] = [];
  drains = 0;

  onHeaders(headers: HeaderList, endStream: boolean): void {
    checkOutside('onHeaders');
    this.headers.push(headers);
    this.ended ||= endStream;
    this.happened();
  }

  onData(chunk: Buffer): void {
    checkOutside('onData');
    this.chunks.push(Buffer.from(chunk));
    this.happened();
  }

  onEnd(): void {
    checkOutside('onEnd');
    this.ended = true;
    this.happened();
  }

  onReset(reset: StreamReset): void {
    checkOutside('onReset');
    this.resets.push(reset);
    this.happened();
  }

  onDrain(): void {
    this.drains++;
    this.happened();
  }

  get length(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  async reset(): Promise<StreamReset> {
    await this.until('a reset', () => this.resets.length > 0);
    return this.resets[0]!;
  }

  /** Resolves at the end of a whole message. */
  async end(): Promise<void> {
    await this.until('the end', () => this.ended || this.resets.length > 0);
    if (!this.ended) throw new Error(`reset: ${JSON.stringify(this.resets[0])}`);
  }
}

/** An owner that writes down what it is told. */
export class Owner extends Happenings implements ConnectionOwner {
  readonly told: string[] = [];
  ends: ConnectionEnd[] = [];

  onReady(): void {
    this.#note('ready');
  }

  onRoom(): void {
    this.#note('room');
  }

  onGoingAway(): void {
    this.#note('going away');
  }

  onEnded(end: ConnectionEnd): void {
    this.ends.push(end);
    this.#note('ended');
  }

  count(what: string): number {
    return this.told.filter((told) => told === what).length;
  }

  async is(what: string, count = 1): Promise<void> {
    await this.until(what, () => this.count(what) >= count || (what !== 'ended' && this.ends.length > 0));
    if (this.count(what) < count) throw new Error(`it ended: ${JSON.stringify(this.ends[0])}`);
  }

  async end(): Promise<ConnectionEnd> {
    await this.is('ended');
    return this.ends[0]!;
  }

  #note(what: string): void {
    checkOutside(what);
    this.told.push(what);
    this.happened();
  }
}

/** Opens a stream and sends its HEADERS. */
export function request(connection: ClientConnection, endStream = false, more: HeaderList = []) {
  const received = new Received();
  const stream = call(() => connection.openStream());
  stream.receiver = received;
  call(() => stream.sendHeaders([...REQUEST, ...more], endStream));
  call(() => stream.resume());
  return { stream, received };
}

/** A dialer's options, but for TLS's, which are as Node takes them. */
export type DialSettings = Partial<Omit<DialerOptions, 'tls'>> & Pick<DialOptions, 'tls'>;

export function dialer(port: number, { tls, ...options }: DialSettings = {}): Http2Dialer {
  const { limits = DEFAULT_DIAL_LIMITS } = options;
  return new Http2Dialer({
    address: { host: '127.0.0.1', port },
    serverName: '127.0.0.1',
    tls: tls && new ClientTls(tls),
    limits,
    keepalive: new BackendKeepalive('the backend', limits.keepalive),
    ...options,
  });
}

/** A connection that is being made. */
export function dial(port: number, options: DialSettings = {}) {
  const owner = new Owner();
  const connection = call(() => dialer(port, options).dial(owner));
  return { owner, connection };
}

/** A connection that is ready. */
export async function connected(port: number, options: DialSettings = {}) {
  const dialled = dial(port, options);
  await dialled.owner.is('ready');
  return dialled;
}

/** What tests need of tap. */
export interface Test {
  teardown(callback: () => unknown): void;
}

/** A server whose connections are the test's own. */
export async function rawServer(
  t: Test,
  onSocket: (socket: Socket) => void = () => {},
  wire: Wire = CLEARTEXT,
): Promise<number> {
  const server = await SocketServer.start((socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  }, wire);
  t.teardown(() => server.destroy());
  return server.port;
}

/** A backend whose every frame is the test's own; it has sent its SETTINGS. */
export async function frameBackend(
  t: Test,
  onConnection: OnConnection = () => {},
  pairs: readonly SettingPair[] = [],
  wire: Wire = CLEARTEXT,
): Promise<number> {
  const backend = await FrameBackend.start((connection) => {
    connection.acknowledges = true;
    connection.send(settings(...pairs));
    return onConnection(connection);
  }, wire);
  t.teardown(() => backend.destroy());
  return backend.port;
}

/** A client whose every frame is the test's own; it has begun, with large windows. */
export async function frameClient(
  t: Test,
  port: number,
  pairs: readonly SettingPair[] = [],
  wire: Wire = CLEARTEXT,
): Promise<FramePeer> {
  const client = await FramePeer.connect({ port }, wire);
  t.teardown(() => client.destroy());
  client.acknowledges = true;
  const first = settings([Setting.INITIAL_WINDOW_SIZE, LARGE_WINDOW], ...pairs);
  client.send(CLIENT_PREFACE, first, windowUpdate(0, LARGE_WINDOW));
  return client;
}

/** A backend of node:http2. */
export async function nodeBackend(t: Test, onRequest: OnRequest): Promise<Http2Backend> {
  const backend = await Http2Backend.start(onRequest);
  t.teardown(() => backend.destroy());
  return backend;
}

/** An acceptor that hands streams to the test. */
export class Accepted extends Happenings {
  readonly streams: { stream: IncomingStream; received: Received; headers: HeaderList }[] = [];

  onStream(stream: IncomingStream, headers: HeaderList, endStream: boolean): void {
    const received = new Received();
    received.headers.push(headers);
    received.ended = endStream;
    stream.receiver = received;
    this.streams.push({ stream, received, headers });
    this.happened();
  }

  async stream(index = 0) {
    await this.until('a stream', () => this.streams.length > index);
    return this.streams[index]!;
  }
}

/** Answers a stream with headers, DATA and trailers. */
export function answer(stream: Stream, body: Buffer, trailers: HeaderList = TRAILERS): void {
  call(() => stream.sendHeaders([':status', '200'], false));
  call(() => stream.sendData(body, false));
  call(() => stream.sendHeaders(trailers, true));
}
