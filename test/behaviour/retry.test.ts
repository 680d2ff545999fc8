import { randomBytes } from 'node:crypto';
import http2 from 'node:http2';
import { encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import {
  dataOf,
  END,
  FrameType,
  goAway,
  headers,
  resetStream,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { respond } from '../support/http2-backend.js';
import type { Collected } from '../support/http2-body.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const { NGHTTP2_REFUSED_STREAM } = http2.constants;
const BODY = Buffer.concat([encodeMessage(randomBytes(10_000)), encodeMessage(Buffer.from('second'))]);

behaviour(
  'a refused stream is retried once, on another connection, with the same bytes',
  async (t, world) => {
    const bodies: Collected[] = [];
    let requests = 0;
    const backend = await world.http2Backend(async ({ stream, body }) => {
      if (++requests === 1) {
        stream.close(NGHTTP2_REFUSED_STREAM);
        return;
      }
      bodies.push(await body());
      respond(stream, encodeMessage(Buffer.from('answer')));
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const response = await world.http2Client(proxy.port).call(METHOD, BODY);
    t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
    t.same(response.data, encodeMessage(Buffer.from('answer')));
    t.equal(requests, 2);
    t.equal(backend.sessions.length, 2);
    t.ok(bodies[0]!.data.equals(BODY));
  },
);

behaviour(
  'a stream that is refused after its whole request was sent gets all of it again',
  async (t, world) => {
    const bodies: Collected[] = [];
    const backend = await world.http2Backend(async ({ stream, body }) => {
      if (bodies.push(await body()) === 1) stream.close(NGHTTP2_REFUSED_STREAM);
      else respond(stream);
    });
    const other = await world.http2Backend(async ({ stream, body }) => {
      await body();
      respond(stream);
    });
    const [primary, secondary] = [world.dial(other.port), world.dial(backend.port)];
    const msg = Buffer.from('instead');
    const proxy = await world.proxy(() => ({
      primary: { conn: primary },
      secondaries: [{ conn: secondary, msg }],
    }));
    const response = await world.http2Client(proxy.port).call(METHOD, BODY);
    t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
    const expected = Buffer.concat([encodeMessage(msg), encodeMessage(Buffer.from('second'))]);
    t.equal(bodies.length, 2);
    for (const body of bodies) t.ok(body.data.equals(expected));
  },
);

behaviour('a stream that is refused twice fails', async (t, world) => {
  let requests = 0;
  const backend = await world.http2Backend(({ stream }) => {
    requests++;
    stream.close(NGHTTP2_REFUSED_STREAM);
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, BODY);
  t.equal(fieldValue(response.headers, 'grpc-status'), '14');
  t.equal(response.trailersOnly, true);
  t.equal(requests, 2);
});

behaviour('a stream that is refused after more than 64 KiB is not retried', async (t, world) => {
  let requests = 0;
  const large = encodeMessage(randomBytes(70_000));
  const backend = await world.http2Backend(async ({ stream, body }) => {
    requests++;
    await body();
    stream.close(NGHTTP2_REFUSED_STREAM);
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, large);
  t.equal(fieldValue(response.headers, 'grpc-status'), '14');
  t.equal(requests, 1);
});

behaviour('a stream that is refused after response headers is not retried', async (t, world) => {
  let requests = 0;
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.HEADERS);
    requests++;
    connection.send(headers(1, RESPONSE));
    connection.send(resetStream(1, NGHTTP2_REFUSED_STREAM));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await world.http2Client(proxy.port).call(METHOD, Buffer.alloc(0));
  t.equal(fieldValue(response.trailers, 'grpc-status'), '14');
  t.equal(requests, 1);
});

for (const code of [0, 11]) {
  behaviour(`a stream that GOAWAY (code ${code}) excludes is retried elsewhere`, async (t, world) => {
    const answered: Buffer[] = [];
    const backend = await world.frameBackend(async (connection) => {
      const isFirst = backend.connections.length === 1;
      connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]));
      await connection.first(1, FrameType.HEADERS);
      if (isFirst) {
        await connection.first(1, FrameType.DATA);
        connection.send(goAway(0, code));
        return;
      }
      answered.push(await wholeRequest(connection));
      connection.send(headers(1, RESPONSE));
      connection.send(headers(1, TRAILERS, END));
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const stream = world.http2Client(proxy.port).open(METHOD);
    const response = collectResponse(stream);
    stream.write(BODY);
    await backend.accept();
    stream.end();
    t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
    t.equal(backend.connections.length, 2);
    t.ok(answered[0]?.equals(BODY));
  });
}

behaviour('a stream that GOAWAY includes goes on; new calls go elsewhere', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.HEADERS);
    connection.send(headers(1, RESPONSE));
    if (backend.connections.length === 1) connection.send(goAway(1, 0));
    else connection.send(headers(1, TRAILERS, END));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  const running = client.open(METHOD);
  const runningResponse = collectResponse(running);
  await new Promise((resolve) => running.once('response', resolve));
  const other = await client.call(METHOD, Buffer.alloc(0));
  t.equal(fieldValue(other.trailers, 'grpc-status'), '0');
  const [first] = backend.connections;
  running.end(BODY);
  t.ok((await wholeRequest(first!)).equals(BODY));
  first!.send(headers(1, ['grpc-status', '0', 'x-from', 'the first connection'], END));
  const { trailers } = await runningResponse;
  t.equal(fieldValue(trailers, 'x-from'), 'the first connection');
  t.equal(backend.connections.length, 2);
});

behaviour('what comes while a retry waits for its connection is not lost', async (t, world) => {
  // 60 000 bytes are held when the stream is refused; the next 60 000 are more than a retry may hold.
  const message = encodeMessage(randomBytes(120_000));
  const backend = await world.frameBackend((connection) => {
    // The second's SETTINGS come only when the client has sent the rest.
    if (backend.connections.length === 1) connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  stream.write(message.subarray(0, 60_000));
  const first = await backend.accept();
  await first.until(() => dataOf(first.of(1, FrameType.DATA)).length === 60_000);
  first.send(resetStream(1, NGHTTP2_REFUSED_STREAM));
  const second = await backend.accept();
  await new Promise<void>((resolve) => stream.end(message.subarray(60_000), () => resolve()));
  await new Promise((resolve) => stream.session!.ping(resolve));
  second.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]));
  second.send(windowUpdate(0, 2 ** 20));
  t.ok((await wholeRequest(second)).equals(message));
  second.send(headers(1, RESPONSE));
  second.send(headers(1, TRAILERS, END));
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
});

behaviour('a refused stream avoids its connection also when other calls wait for room', async (t, world) => {
  const backend = await world.frameBackend((connection) => {
    if (backend.connections.length === 1) connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 3]));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  const bodies = ['one', 'two', 'three', 'four', 'five'].map((text) => encodeMessage(Buffer.from(text)));
  const calls = bodies.map((body) => client.call(METHOD, body));
  const first = await backend.accept();
  await first.until(() => [1, 3, 5].every((id) => first.hasEnded(id)));
  // The other two wait for the second connection, which has not sent its SETTINGS.
  const second = await backend.accept();
  const refused = dataOf(first.of(1, FrameType.DATA));
  first.send(resetStream(1, NGHTTP2_REFUSED_STREAM));
  await client.roundTrip();
  second.send(settings());
  const answered = new Set<string>(['first 1']);
  let settled = false;
  const responses = Promise.all(calls).finally(() => {
    settled = true;
  });
  await until(() => {
    for (const [name, connection] of Object.entries({ first, second })) {
      for (const id of [1, 3, 5, 7, 9, 11]) {
        if (answered.has(`${name} ${id}`) || !connection.hasEnded(id)) continue;
        answered.add(`${name} ${id}`);
        connection.send(headers(id, RESPONSE));
        connection.send(headers(id, TRAILERS, END));
      }
    }
    return settled || undefined;
  });
  t.same(
    (await responses).map(({ trailers, headers }) => fieldValue(trailers ?? headers, 'grpc-status')),
    ['0', '0', '0', '0', '0'],
  );
  const later = [3, 5, 7, 9, 11].map((id) => dataOf(first.of(id, FrameType.DATA)));
  t.notOk(
    later.some((body) => body.equals(refused)),
    'the refused request did not come back on its connection',
  );
});

async function wholeRequest(connection: FramePeer): Promise<Buffer> {
  await connection.until(() => connection.hasEnded(1));
  return dataOf(connection.of(1, FrameType.DATA));
}

async function until<T>(find: () => T | undefined): Promise<T> {
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
