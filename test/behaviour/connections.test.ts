import { once } from 'node:events';
import http2, { type ServerHttp2Stream } from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { behaviour } from '../support/behaviour.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import { data, END, Flag, FrameType, frame, headers, ping, Setting, settings } from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { freePort } from '../support/free-port.js';
import { respond } from '../support/http2-backend.js';

import { MESSAGE, METHOD, message, ok, proxied, status } from '../support/unary.js';

/** Answers the streams of a connection with OK as soon as they are half-closed. */
async function answerAll(connection: FramePeer): Promise<void> {
  const answered = new Set<number>();
  for (;;) {
    let next: number | undefined;
    await connection.until(() => {
      next = connection.frames.find(
        ({ type, flags, streamId }) =>
          type <= FrameType.HEADERS && (flags & Flag.END_STREAM) !== 0 && !answered.has(streamId),
      )?.streamId;
      return next !== undefined || connection.isClosed;
    });
    if (next === undefined) return;
    answered.add(next);
    connection.send(headers(next, RESPONSE));
    connection.send(headers(next, TRAILERS, END));
  }
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
  const client = await proxied(world, { conn: world.dial(backend.port, { limits: { maxConnections: 2 } }) });
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
        connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 0]));
        void answerAll(connection);
      });
      const client = await proxied(world, { conn: world.dial(backend.port, { limits: { maxConnections } }) });
      const calls = [client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)];
      const connection = await backend.accept();
      await connection.until(() => acknowledgements(connection) === 1);
      for (let i = 1; i <= 5; i++) {
        connection.send(ping(Buffer.alloc(8)));
        await connection.until(() => connection.of(0, FrameType.PING).length === i);
      }
      t.same(connection.of(1), []);
      connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 10]));
      t.same((await Promise.all(calls)).map(status), ['0', '0']);
      t.equal(backend.connections.length, 1);
    },
  );
}

behaviour(
  'calls that wait at MAX_CONCURRENT_STREAMS 0 connect anew when the connection is lost',
  async (t, world) => {
    const backend = await world.frameBackend((connection) => {
      connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, backend.connections.length === 1 ? 0 : 10]));
      void answerAll(connection);
    });
    const client = await proxied(world, { conn: world.dial(backend.port) });
    const call = client.call(METHOD, MESSAGE);
    const connection = await backend.accept();
    await connection.until(() => acknowledgements(connection) === 1);
    connection.destroy();
    t.equal(status(await call), '0');
    t.equal(backend.connections.length, 2);
  },
);

behaviour('SETTINGS that lower MAX_CONCURRENT_STREAMS are kept to', async (t, world) => {
  const backend = await world.frameBackend((connection) => {
    connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 100]));
  });
  const client = await proxied(world, { conn: world.dial(backend.port, { limits: { maxConnections: 1 } }) });
  const first = client.call(METHOD, MESSAGE);
  const connection = await backend.accept();
  await connection.first(1, FrameType.DATA);
  connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 1]));
  await connection.until(() => acknowledgements(connection) === 2);
  const second = client.call(METHOD, MESSAGE);
  await client.roundTrip();
  connection.send(ping(Buffer.alloc(8)));
  await connection.first(0, FrameType.PING);
  t.same(connection.of(3), []);
  void answerAll(connection);
  t.same((await Promise.all([first, second])).map(status), ['0', '0']);
});

behaviour("nothing is sent before the backend's SETTINGS", async (t, world) => {
  const backend = await world.frameBackend(() => {});
  const client = await proxied(world, { conn: world.dial(backend.port) });
  const call = client.call(METHOD, MESSAGE);
  const connection = await backend.accept();
  await connection.first(0, FrameType.SETTINGS);
  await client.roundTrip();
  t.same(connection.of(1), []);
  connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 1]));
  void answerAll(connection);
  t.equal(status(await call), '0');
});

behaviour('a backend that never sends SETTINGS: UNAVAILABLE after the connect timeout', async (t, world) => {
  const backend = await world.frameBackend(() => {});
  const conn = world.dial(backend.port, { limits: { connectTimeoutMilliseconds: 100 } });
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

const VIOLATIONS: Record<string, (connection: FramePeer) => void> = {
  'a frame over the size limit': (connection) => connection.send(data(1, Buffer.alloc(20_000))),
  'garbage for HPACK': (connection) =>
    connection.send(frame(FrameType.HEADERS, 4, 1, Buffer.from('ffffffffffffffffffff', 'hex'))),
  'DATA before HEADERS': (connection) => connection.send(data(1, MESSAGE)),
  'nothing at all': () => {},
};

for (const [what, violate] of Object.entries(VIOLATIONS)) {
  behaviour(
    `a backend that sends ${what}, and answers no PING: its call fails, and the next gets another connection`,
    async (t, world) => {
      // To the engine that is an error of the stream alone.
      const isStreamError = what === 'DATA before HEADERS' && world.transports.client === 'frames';
      const backend = await world.frameBackend(async (connection) => {
        connection.send(settings());
        if (backend.connections.length > 1) {
          void answerAll(connection);
          return;
        }
        await connection.first(1, FrameType.DATA);
        connection.acknowledges = false;
        violate(connection);
      });
      const conn = world.dial(backend.port, {
        limits: { keepalive: { timeMilliseconds: 60, timeoutMilliseconds: 60 } },
      });
      const client = await proxied(world, { conn });
      const start = performance.now();
      const response = await client.call(METHOD, MESSAGE);
      t.ok(performance.now() - start < 2000);
      t.equal(status(response), isStreamError ? '13' : '14');
      if (isStreamError) return;
      t.equal(status(await client.call(METHOD, MESSAGE)), '0');
      t.equal(backend.connections.length, 2);
    },
  );
}

behaviour('a silent backend that answers PINGs is left alone', async (t, world) => {
  const backend = await world.frameBackend((connection) => connection.send(settings()));
  const conn = world.dial(backend.port, {
    limits: { keepalive: { timeMilliseconds: 20, timeoutMilliseconds: 200 } },
  });
  const client = await proxied(world, { conn });
  const call = client.call(METHOD, MESSAGE);
  const connection = await backend.accept();
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

behaviour('a connection is made anew at once after the backend restarts', async (t, world) => {
  const first = await world.http2Backend(ok);
  const { port } = first;
  const conn = world.dial(port);
  const client = await proxied(world, { conn });
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  first.destroy();
  await conn.waitForStateChange('READY');
  await world.http2Backend(ok, {}, port);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
});

behaviour('a connection is made anew after a backend that was away comes back', async (t, world) => {
  const first = await world.http2Backend(ok);
  const { port } = first;
  const conn = world.dial(port);
  const client = await proxied(world, { conn });
  const patient = await proxied(world, { conn }, { waitForReady: true });
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  first.destroy();
  await conn.waitForStateChange('READY');
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
  const waiting = patient.call(METHOD, MESSAGE);
  await world.http2Backend(ok, {}, port);
  t.equal(status(await waiting), '0');
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
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
  t.match(message(response), /there is no such socket/);
});

/** How often SETTINGS have been acknowledged. */
function acknowledgements({ frames }: FramePeer): number {
  return frames.filter(({ type, flags }) => type === FrameType.SETTINGS && flags === Flag.ACK).length;
}
