import type { ServerOptions as ServerOptionsOfHttp2 } from 'node:http2';
import t, { type Test } from 'tap';
import {
  type ClientConn,
  type DialOptions,
  dial,
  type ProxyOptions,
  Server,
  type ServerOptions,
  type StreamDirector,
  transparentHandler,
} from '../../lib/index.js';
import { CLIENT_PREFACE, Setting, type SettingPair, settings, windowUpdate } from './frame.js';
import { FrameBackend, type OnConnection } from './frame-backend.js';
import { FramePeer } from './frame-peer.js';
import { GrpcBackend, type Handlers } from './grpc-backend.js';
import { GrpcClient } from './grpc-client.js';
import { Http2Backend, type OnRequest } from './http2-backend.js';
import { Http2Client } from './http2-client.js';
import { TRANSPORTS, type Transports } from './transports.js';
import type { Wire } from './wire.js';

export { TRANSPORTS, type Transports } from './transports.js';

/** A test of the product's behaviour: runs on every pair of transports. `skip` says why it cannot run here. */
export function behaviour(
  name: string,
  run: (t: Test, world: World) => Promise<void>,
  skip: string | false = false,
): void {
  for (const transports of TRANSPORTS) {
    t.test(`${name} [${transports.server} to ${transports.client}]`, { skip }, async (t) => {
      await run(t, new World(t, transports));
    });
  }
}

/** The same for what mostly waits: such tests of a file run beside each other. */
export function waitingBehaviour(name: string, run: (t: Test, world: World) => Promise<void>): void {
  t.jobs = 16;
  for (const transports of TRANSPORTS) {
    const { server, client } = transports;
    t.test(`${name} [${server} to ${client}]`, { buffered: true }, (t) => run(t, new World(t, transports)));
  }
}

export interface Proxy {
  readonly server: Server;
  readonly port: number;
}

const LARGE_WINDOW = 2 ** 30;

/** Starts what a test needs on free ports of the loopback interface, and ends it with the test. */
export class World {
  readonly #t: Test;
  readonly transports: Transports;

  constructor(t: Test, transports: Transports) {
    this.#t = t;
    this.transports = transports;
  }

  /** A server whose every call goes where the director says. */
  async proxy(
    director: StreamDirector,
    serverOptions: ServerOptions = {},
    proxyOptions: ProxyOptions = {},
  ): Promise<Proxy> {
    return this.serve({
      unknownServiceHandler: transparentHandler(director, proxyOptions),
      ...serverOptions,
    });
  }

  /** A server with these options; `prepare` registers services before it listens. */
  async serve(options: ServerOptions, prepare?: (server: Server) => void): Promise<Proxy> {
    const server = new Server({ transport: this.transports.server, ...options });
    this.#t.teardown(() => server.destroy());
    prepare?.(server);
    const { port } = await server.listen('127.0.0.1:0');
    return { server, port };
  }

  /** Connections to a backend on a port of the loopback interface, or at a target. */
  dial(portOrTarget: number | string, options: DialOptions = {}): ClientConn {
    const target = typeof portOrTarget === 'number' ? `127.0.0.1:${portOrTarget}` : portOrTarget;
    const conn = dial(target, { transport: this.transports.client, ...options });
    this.#t.teardown(() => conn.destroy());
    return conn;
  }

  /** A gRPC server on grpc-js. */
  async grpcBackend(handlers: Handlers): Promise<GrpcBackend> {
    const backend = await GrpcBackend.start(handlers);
    this.#t.teardown(() => backend.destroy());
    return backend;
  }

  /** A backend whose HTTP/2 frames the test decides. */
  async http2Backend(
    onRequest: OnRequest,
    options: ServerOptionsOfHttp2 = {},
    port = 0,
  ): Promise<Http2Backend> {
    const backend = await Http2Backend.start(onRequest, options, port);
    this.#t.teardown(() => backend.destroy());
    return backend;
  }

  /** A backend that speaks HTTP/2 frame by frame, but acknowledges SETTINGS and PING. */
  async frameBackend(onConnection: OnConnection = () => {}): Promise<FrameBackend> {
    const backend = await FrameBackend.start((connection) => {
      connection.acknowledges = true;
      return onConnection(connection);
    });
    this.#t.teardown(() => backend.destroy());
    return backend;
  }

  /** A client that speaks HTTP/2 frame by frame, but acknowledges SETTINGS and PING. Its windows are large. */
  async frameClient(port: number, ...pairs: readonly SettingPair[]): Promise<FramePeer> {
    const client = await FramePeer.connect({ port });
    this.#t.teardown(() => client.destroy());
    client.acknowledges = true;
    const first = settings([Setting.INITIAL_WINDOW_SIZE, LARGE_WINDOW], ...pairs);
    client.send(CLIENT_PREFACE, first, windowUpdate(0, LARGE_WINDOW));
    return client;
  }

  /** A gRPC client on grpc-js. */
  grpcClient(port: number): GrpcClient {
    const client = new GrpcClient(port);
    this.#t.teardown(() => client.close());
    return client;
  }

  /** A client whose HTTP/2 frames the test decides. */
  http2Client(port: number, wire?: Wire): Http2Client {
    const client = new Http2Client(port, wire);
    this.#t.teardown(() => client.destroy());
    return client;
  }
}
