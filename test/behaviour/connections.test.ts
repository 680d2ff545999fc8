import { once } from 'node:events';
import http2, { type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ClientConn, type Destination, encodeMessage } from '../../lib/index.js';
import { Http2ClientTransport } from '../../lib/transport/http2/client-transport.js';
import { behaviour, type World } from '../support/behaviour.js';
import {
  ACK,
  END_STREAM,
  type FrameBackend,
  type FrameConnection,
  FrameType,
  MAX_CONCURRENT_STREAMS,
  RESPONSE_HEADERS,
} from '../support/frames.js';
import { Http2Backend, type OnRequest, respond } from '../support/http2-backend.js';
import { fieldValue, type Response } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

const ok: OnRequest = ({ stream }) => respond(stream, MESSAGE);

function status(response: Response): string | undefined {
  return fieldValue(response.trailers ?? response.headers, 'grpc-status');
}

function message(response: Response): string | undefined {
  return fieldValue(response.trailers ?? response.headers, 'grpc-message');
}

/** Answers the streams of a connection with OK as soon as they are half-closed. */
async function answerAll(connection: FrameConnection): Promise<void> {
  const answered = new Set<number>();
  for (;;) {
    let next: number | undefined;
    await connection.until(() => {
      next = connection.frames.find(
        ({ type, flags, streamId }) =>
          type <= FrameType.HEADERS && (flags & END_STREAM) !== 0 && !answered.has(streamId),
      )?.streamId;
      return next !== undefined;
    });
    answered.add(next!);
    connection.headers(next!, RESPONSE_HEADERS);
    connection.headers(next!, { 'grpc-status': '0' }, true);
  }
}

async function proxied(world: World, destination: Destination, callOptions = {}) {
  const proxy = await world.proxy(() => ({ primary: destination, callOptions }));
  return world.http2Client(proxy.port);
}

for (const limit of [1, 2]) {
  behaviour(`MAX_CONCURRENT_STREAMS ${limit} is never exceeded`, async (t, world) => {
    const running = new Map<unknown, number>();
    const held: ServerHttp2Stream[] = [];
    let most = 0;
    const calls = 7;
    const backend = await world.http2Backend(
      ({ stream }) => {
        const count = (running.get(stream.session) ?? 0) + 1;
        running.set(stream.session, count);
        most = Math.max(most, count);
        stream.once('close', () => running.set(stream.session, running.get(stream.session)! - 1));
        held.push(stream);
        if (held.length === calls) for (const one of held) respond(one, MESSAGE);
      },
      { settings: { maxConcurrentStreams: limit } },
    );
    const client = await proxied(world, { conn: world.dial(backend.port) });
    const responses = await Promise.all(Array.from({ length: calls }, () => client.call(METHOD, MESSAGE)));
    t.same(responses.map(status), new Array(calls).fill('0'));
    t.equal(most, limit);
    t.equal(backend.sessions.length, Math.ceil(calls / limit));
  });
}

behaviour('a call that finds the connection full gets another one', async (t, world) => {
  const held: ServerHttp2Stream[] = [];
  const backend = await world.http2Backend(
    ({ stream, headers }) => {
      if (headers['x-hold'] === undefined) respond(stream, MESSAGE);
      else held.push(stream);
    },
    { settings: { maxConcurrentStreams: 1 } },
  );
  const client = await proxied(world, { conn: world.dial(backend.port) });
  const first = client.call(METHOD, MESSAGE, { 'x-hold': '1' });
  while (held.length === 0) await new Promise(setImmediate);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  t.equal(backend.sessions.length, 2);
  respond(held[0]!, MESSAGE);
  t.equal(status(await first), '0');
});

behaviour('calls beyond maxConnections wait for room', async (t, world) => {
  let running = 0;
  let most = 0;
  const backend = await world.http2Backend(
    ({ stream }) => {
      most = Math.max(most, ++running);
      setImmediate(() => {
        running--;
        respond(stream, MESSAGE);
      });
    },
    { settings: { maxConcurrentStreams: 2 } },
  );
  const client = await proxied(world, { conn: world.dial(backend.port, { maxConnections: 2 }) });
  const responses = await Promise.all(Array.from({ length: 30 }, () => client.call(METHOD, MESSAGE)));
  t.same(responses.map(status), new Array(30).fill('0'));
  t.equal(backend.sessions.length, 2);
  t.ok(most <= 4, `${most} at a time`);
});

for (const maxConnections of [1, undefined]) {
  behaviour(
    `MAX_CONCURRENT_STREAMS 0 (maxConnections ${maxConnections}): calls wait for more`,
    async (t, world) => {
      const backend = await world.frameBackend((connection) => {
        connection.settings({ [MAX_CONCURRENT_STREAMS]: 0 });
        void answerAll(connection);
      });
      const client = await proxied(world, { conn: world.dial(backend.port, { maxConnections }) });
      const calls = [client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)];
      const connection = await firstConnection(backend);
      await connection.until(() => acknowledgements(connection) === 1);
      for (let i = 1; i <= 5; i++) {
        connection.send(FrameType.PING, 0, 0, Buffer.alloc(8));
        await connection.until(() => connection.of(0, FrameType.PING).length === i);
      }
      t.same(connection.of(1), []);
      connection.settings({ [MAX_CONCURRENT_STREAMS]: 10 });
      t.same((await Promise.all(calls)).map(status), ['0', '0']);
      t.equal(backend.connections.length, 1);
    },
  );
}

behaviour(
  'calls that wait at MAX_CONCURRENT_STREAMS 0 connect anew when the connection is lost',
  async (t, world) => {
    const backend = await world.frameBackend((connection) => {
      connection.settings({ [MAX_CONCURRENT_STREAMS]: backend.connections.length === 1 ? 0 : 10 });
      void answerAll(connection);
    });
    const client = await proxied(world, { conn: world.dial(backend.port) });
    const call = client.call(METHOD, MESSAGE);
    const connection = await firstConnection(backend);
    await connection.until(() => acknowledgements(connection) === 1);
    connection.destroy();
    t.equal(status(await call), '0');
    t.equal(backend.connections.length, 2);
  },
);

behaviour('SETTINGS that lower MAX_CONCURRENT_STREAMS are kept to', async (t, world) => {
  const backend = await world.frameBackend((connection) => {
    connection.settings({ [MAX_CONCURRENT_STREAMS]: 100 });
  });
  const client = await proxied(world, { conn: world.dial(backend.port, { maxConnections: 1 }) });
  const first = client.call(METHOD, MESSAGE);
  const connection = await firstConnection(backend);
  await connection.first(1, FrameType.DATA);
  connection.settings({ [MAX_CONCURRENT_STREAMS]: 1 });
  await connection.until(() => acknowledgements(connection) === 2);
  const second = client.call(METHOD, MESSAGE);
  await new Promise((resolve) => client.session.ping(resolve));
  connection.send(FrameType.PING, 0, 0, Buffer.alloc(8));
  await connection.first(0, FrameType.PING);
  t.same(connection.of(3), []);
  void answerAll(connection);
  t.same((await Promise.all([first, second])).map(status), ['0', '0']);
});

behaviour("nothing is sent before the backend's SETTINGS", async (t, world) => {
  const backend = await world.frameBackend(() => {});
  const client = await proxied(world, { conn: world.dial(backend.port) });
  const call = client.call(METHOD, MESSAGE);
  const connection = await firstConnection(backend);
  await connection.first(0, FrameType.SETTINGS);
  await new Promise((resolve) => client.session.ping(resolve));
  t.same(connection.of(1), []);
  connection.settings({ [MAX_CONCURRENT_STREAMS]: 1 });
  void answerAll(connection);
  t.equal(status(await call), '0');
});

behaviour('a backend that never sends SETTINGS: UNAVAILABLE after the connect timeout', async (t, world) => {
  const backend = await world.frameBackend(() => {});
  const conn = world.dial(backend.port, { connectTimeoutMilliseconds: 100 });
  const client = await proxied(world, { conn });
  const responses = await Promise.all([client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)]);
  for (const response of responses) {
    t.equal(status(response), '14');
    t.match(message(response), /no HTTP\/2 SETTINGS within 100 ms/);
    t.equal(response.trailersOnly, true);
  }
});

behaviour('a backend that is no HTTP/2 server: UNAVAILABLE', async (t, world) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const client = await proxied(world, { conn: world.dial((server.address() as net.AddressInfo).port) });
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
});

behaviour(
  'a stream refused below the limit is retried elsewhere, and running calls go on',
  async (t, world) => {
    let requests = 0;
    let running!: ServerHttp2Stream;
    const backend = await world.http2Backend(({ stream }) => {
      requests++;
      if (requests === 1) running = stream;
      else if (requests === 2) stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      else respond(stream, MESSAGE);
    });
    const client = await proxied(world, { conn: world.dial(backend.port) });
    const first = client.call(METHOD, MESSAGE);
    while (requests === 0) await new Promise(setImmediate);
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.equal(backend.sessions.length, 2);
    respond(running, MESSAGE);
    t.equal(status(await first), '0');
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.equal(requests, 4);
  },
);

const VIOLATIONS: Record<string, (connection: FrameConnection) => void> = {
  'a frame over the size limit': (connection) => connection.data(1, Buffer.alloc(20_000)),
  'garbage for HPACK': (connection) =>
    connection.send(FrameType.HEADERS, 4, 1, Buffer.from('ffffffffffffffffffff', 'hex')),
  'DATA before HEADERS': (connection) => connection.data(1, MESSAGE),
  'nothing at all': () => {},
};

for (const [what, violate] of Object.entries(VIOLATIONS)) {
  behaviour(
    `a backend that sends ${what}, and answers no PING: UNAVAILABLE by the keepalive`,
    async (t, world) => {
      const backend = await world.frameBackend((connection) => {
        connection.settings({});
        if (backend.connections.length > 1) {
          void answerAll(connection);
          return;
        }
        connection.answersPings = false;
        void connection.first(1, FrameType.DATA).then(() => violate(connection));
      });
      const transport = new Http2ClientTransport(
        { host: '127.0.0.1', port: backend.port },
        { keepalive: { time: 60, timeout: 60 } },
      );
      t.teardown(() => transport.destroy());
      const conn = new ClientConn('the backend', 'http', 'backend', transport);
      const client = await proxied(world, { conn });
      const start = performance.now();
      const response = await client.call(METHOD, MESSAGE);
      t.equal(status(response), '14');
      t.ok(performance.now() - start < 2000);
      t.equal(status(await client.call(METHOD, MESSAGE)), '0');
      t.equal(backend.connections.length, 2);
    },
  );
}

behaviour('a silent backend that answers PINGs is left alone', async (t, world) => {
  const backend = await world.frameBackend((connection) => connection.settings({}));
  const transport = new Http2ClientTransport(
    { host: '127.0.0.1', port: backend.port },
    { keepalive: { time: 20, timeout: 200 } },
  );
  t.teardown(() => transport.destroy());
  const client = await proxied(world, { conn: new ClientConn('the backend', 'http', 'backend', transport) });
  const call = client.call(METHOD, MESSAGE);
  const connection = await firstConnection(backend);
  await connection.first(0, FrameType.PING);
  // Longer than an unanswered PING would have been waited for.
  await new Promise((resolve) => setTimeout(resolve, 400));
  void answerAll(connection);
  t.equal(status(await call), '0');
  t.equal(connection.of(0, FrameType.PING).length, 1, 'a second PING would be abuse to gRPC servers');
});

behaviour('waitForReady waits for a backend that comes up later', async (t, world) => {
  const port = await freePort();
  const client = await proxied(world, { conn: world.dial(port) }, { waitForReady: true });
  const impatient = await proxied(world, { conn: world.dial(port) });
  const call = client.call(METHOD, MESSAGE);
  t.equal(status(await impatient.call(METHOD, MESSAGE)), '14');
  await world.http2Backend(ok, {}, port);
  const response = await call;
  t.equal(status(response), '0');
  t.same(response.data, MESSAGE);
});

behaviour('waitForReady ends with the deadline', async (t, world) => {
  const client = await proxied(world, { conn: world.dial(await freePort()) }, { waitForReady: true });
  const response = await client.call(METHOD, MESSAGE, { 'grpc-timeout': '200m' });
  t.equal(status(response), '4');
});

behaviour('a connection is made anew after the backend restarts', async (t, world) => {
  const first = await world.http2Backend(ok);
  const { port } = first;
  const client = await proxied(world, { conn: world.dial(port) });
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  const closed = once(first.sessions[0]!, 'close');
  first.destroy();
  await closed;
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
  await world.http2Backend(ok, {}, port);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
});

behaviour('a plain session of node:http2 as conn', async (t, world) => {
  let authority: string | undefined;
  const backend = await world.http2Backend((request) => {
    authority = request.headers[':authority'];
    ok(request);
  });
  const session = http2.connect(`http://127.0.0.1:${backend.port}`);
  t.teardown(() => session.destroy());
  const client = await proxied(world, { conn: session });
  const responses = await Promise.all([client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)]);
  t.same(responses.map(status), ['0', '0']);
  t.same(responses[0]!.data, MESSAGE);
  t.equal(authority, `127.0.0.1:${backend.port}`);
  t.equal(backend.sessions.length, 1);
});

behaviour('a plain session that is closed: UNAVAILABLE', async (t, world) => {
  const backend = await world.http2Backend(ok);
  const session = http2.connect(`http://127.0.0.1:${backend.port}`);
  await once(session, 'connect');
  const closed = once(session, 'close');
  session.close();
  await closed;
  const client = await proxied(world, { conn: session });
  const response = await client.call(METHOD, MESSAGE);
  t.equal(status(response), '14');
  t.match(message(response), /session is closed/);
});

behaviour(
  'a plain session that is going away: its call goes on, new ones are UNAVAILABLE',
  async (t, world) => {
    let running!: ServerHttp2Stream;
    const backend = await world.http2Backend(({ stream }) => {
      running = stream;
      stream.session!.goaway(0, 1);
    });
    const session = http2.connect(`http://127.0.0.1:${backend.port}`);
    t.teardown(() => session.destroy());
    const client = await proxied(world, { conn: session });
    const first = client.call(METHOD, MESSAGE);
    await once(session, 'goaway');
    t.equal(status(await client.call(METHOD, MESSAGE)), '14');
    respond(running, MESSAGE);
    t.equal(status(await first), '0');
  },
);

behaviour('a plain session that cannot connect: UNAVAILABLE', async (t, world) => {
  const session: ClientHttp2Session = http2.connect(`http://127.0.0.1:${await freePort()}`);
  session.on('error', () => {});
  const client = await proxied(world, { conn: session });
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
});

behaviour('a unix socket', async (t, world) => {
  const socketPath = path.join(tmpdir(), `grpc-frame-proxy-${process.pid}.sock`);
  const authorities: (string | undefined)[] = [];
  const server = http2.createServer();
  server.on('stream', (stream, headers) => {
    authorities.push(headers[':authority']);
    respond(stream, MESSAGE);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  t.teardown(() => server.close());
  const conn = world.dial(`unix:${socketPath}`);
  const client = await proxied(world, { conn });
  t.same(
    [status(await client.call(METHOD, MESSAGE)), status(await client.call(METHOD, MESSAGE))],
    ['0', '0'],
  );
  t.same(authorities, ['localhost', 'localhost']);
  conn.destroy();
});

behaviour('a unix socket that is not there: UNAVAILABLE', async (t, world) => {
  const client = await proxied(world, { conn: world.dial('unix:/nowhere/at/all.sock') });
  const response = await client.call(METHOD, MESSAGE);
  t.equal(status(response), '14');
  t.match(message(response), /ENOENT/);
});

behaviour('ClientConn.close() lets running calls finish and refuses new ones', async (t, world) => {
  let running!: ServerHttp2Stream;
  let arrived!: () => void;
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const backend = await world.http2Backend(({ stream }) => {
    running = stream;
    arrived();
  });
  const conn = world.dial(backend.port);
  const client = await proxied(world, { conn });
  const first = client.call(METHOD, MESSAGE);
  await arrival;
  let closed = false;
  const closing = conn.close().then(() => {
    closed = true;
  });
  const refused = await client.call(METHOD, MESSAGE);
  t.equal(status(refused), '14');
  t.match(message(refused), /is closed/);
  t.equal(closed, false);
  const gone = once(backend.sessions[0]!, 'close');
  respond(running, MESSAGE);
  const response = await first;
  t.equal(status(response), '0');
  t.same(response.data, MESSAGE);
  await closing;
  await gone;
});

behaviour('ClientConn.destroy() ends running calls as UNAVAILABLE', async (t, world) => {
  let arrived!: () => void;
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const backend = await world.http2Backend(() => arrived());
  const conn = world.dial(backend.port);
  const client = await proxied(world, { conn });
  const call = client.call(METHOD, MESSAGE);
  await arrival;
  conn.destroy();
  t.equal(status(await call), '14');
});

behaviour('ClientConn.close() before any call', async (t, world) => {
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  await conn.close();
  const client = await proxied(world, { conn });
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
  t.equal(backend.sessions.length, 0);
});

async function firstConnection(backend: FrameBackend): Promise<FrameConnection> {
  while (backend.connections[0] === undefined) await new Promise(setImmediate);
  return backend.connections[0];
}

/** How often SETTINGS have been acknowledged. */
function acknowledgements({ frames }: FrameConnection): number {
  return frames.filter(({ type, flags }) => type === FrameType.SETTINGS && flags === ACK).length;
}

/** A port where nobody listens, for now. */
async function freePort(): Promise<number> {
  const backend = await Http2Backend.start(ok);
  const { port } = backend;
  const closed = once(backend.server, 'close');
  backend.destroy();
  await closed;
  return port;
}
