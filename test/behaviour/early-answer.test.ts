import { encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { REQUEST, RESPONSE, TRAILERS } from '../support/fields.js';
import {
  data,
  dataOf,
  END,
  errorCode,
  Flag,
  type Frame,
  FrameType,
  headers,
  ping,
  resetStream,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { echo } from '../support/grpc-backend.js';
import { collect } from '../support/grpc-client.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

/** A backend that answers `body` completely upon the first DATA, and goes on as `then` says. */
async function earlyBackend(
  world: World,
  body: Buffer,
  status: string,
  then: (connection: FramePeer) => void = () => {},
) {
  return world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.DATA);
    connection.send(headers(1, RESPONSE));
    for (let i = 0; i < body.length; i += 16_384) connection.send(data(1, body.subarray(i, i + 16_384)));
    connection.send(headers(1, ['grpc-status', status, 'x-trailer', '1'], END));
    then(connection);
  });
}

const ENDINGS: Record<string, (connection: FramePeer) => void> = {
  'and leaves it at that': () => {},
  'and resets with NO_ERROR': (connection) => connection.send(resetStream(1, 0)),
};

for (const status of ['0', '9']) {
  for (const [ending, then] of Object.entries(ENDINGS)) {
    behaviour(
      `the primary answers with status ${status} before the half-close ${ending}`,
      async (t, world) => {
        const backend = await earlyBackend(world, MESSAGE, status, then);
        const conn = world.dial(backend.port);
        const proxy = await world.proxy(() => ({ primary: { conn } }));
        const client = await world.frameClient(proxy.port);
        client.send(headers(1, REQUEST));
        client.send(data(1, MESSAGE));
        const reset = await client.first(1, FrameType.RST_STREAM);
        t.equal(errorCode(reset), 0);
        const frames = withoutNoise(client.of(1));
        t.same(
          frames.map(({ type, flags }) => [type, flags & Flag.END_STREAM]),
          [
            [FrameType.HEADERS, 0],
            [FrameType.DATA, 0],
            [FrameType.HEADERS, Flag.END_STREAM],
            [FrameType.RST_STREAM, 0],
          ],
        );
        t.same(frames[1]!.payload, MESSAGE);
        if (ending.endsWith('that')) {
          const [connection] = backend.connections;
          t.equal(errorCode(await connection!.first(1, FrameType.RST_STREAM)), 8);
        }
      },
    );
  }
}

behaviour('a Trailers-Only answer before the half-close', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.HEADERS);
    connection.send(headers(1, [...RESPONSE, 'grpc-status', '7'], END));
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = await world.frameClient(proxy.port);
  client.send(headers(1, REQUEST));
  t.equal(errorCode(await client.first(1, FrameType.RST_STREAM)), 0);
  t.same(
    withoutNoise(client.of(1)).map(({ type, flags }) => [type, flags & Flag.END_STREAM]),
    [
      [FrameType.HEADERS, Flag.END_STREAM],
      [FrameType.RST_STREAM, 0],
    ],
  );
  await backend.connections[0]!.first(1, FrameType.RST_STREAM);
});

behaviour('an error of the director before the half-close', async (t, world) => {
  const proxy = await world.proxy(() => {
    throw new Error('no way');
  });
  const client = await world.frameClient(proxy.port);
  client.send(headers(1, REQUEST));
  t.equal(errorCode(await client.first(1, FrameType.RST_STREAM)), 0);
  t.same(
    withoutNoise(client.of(1)).map(({ type, flags }) => [type, flags & Flag.END_STREAM]),
    [
      [FrameType.HEADERS, Flag.END_STREAM],
      [FrameType.RST_STREAM, 0],
    ],
  );
});

behaviour('a client that reads slowly gets the whole early answer before the reset', async (t, world) => {
  const body = encodeMessage(Buffer.alloc(50_000, 7));
  const backend = await earlyBackend(world, body, '0');
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = await world.frameClient(proxy.port, [Setting.INITIAL_WINDOW_SIZE, 10_000]);
  client.send(headers(1, REQUEST));
  client.send(data(1, MESSAGE));
  const received = () => dataOf(client.of(1, FrameType.DATA));
  await client.until(() => received().length === 10_000);
  // Twice around, so that what the proxy would send too early would be here.
  for (let i = 1; i <= 2; i++) {
    client.send(ping(Buffer.alloc(8, i)));
    await client.until(() => client.of(0, FrameType.PING).length === i);
  }
  t.equal(client.of(1, FrameType.RST_STREAM).length, 0);
  for (let sent = 10_000; sent < body.length; sent += 10_000) {
    client.send(windowUpdate(1, 10_000));
    await client.until(() => received().length >= Math.min(sent + 10_000, body.length));
  }
  t.equal(errorCode(await client.first(1, FrameType.RST_STREAM)), 0);
  t.ok(received().equals(body));
  const ends = withoutNoise(client.of(1))
    .filter(({ type }) => type !== FrameType.DATA)
    .map(({ type, flags }) => [type, flags & Flag.END_STREAM]);
  t.same(ends, [
    [FrameType.HEADERS, 0],
    [FrameType.HEADERS, Flag.END_STREAM],
    [FrameType.RST_STREAM, 0],
  ]);
});

behaviour('a client that half-closes while the early answer waits for its window', async (t, world) => {
  const body = encodeMessage(Buffer.alloc(50_000, 7));
  const backend = await earlyBackend(world, body, '0');
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = await world.frameClient(proxy.port, [Setting.INITIAL_WINDOW_SIZE, 10_000]);
  client.send(headers(1, REQUEST));
  client.send(data(1, MESSAGE));
  await client.until(() => dataOf(client.of(1, FrameType.DATA)).length === 10_000);
  client.send(data(1, MESSAGE, Flag.END_STREAM));
  client.send(windowUpdate(1, 100_000));
  await client.until(() => client.of(1, FrameType.HEADERS).length === 2);
  t.ok(dataOf(client.of(1, FrameType.DATA)).equals(body));
  t.equal(client.of(1, FrameType.HEADERS)[1]!.flags & Flag.END_STREAM, Flag.END_STREAM);
  for (const reset of client.of(1, FrameType.RST_STREAM)) t.equal(errorCode(reset), 0);
});

behaviour(
  'the early answer of a primary leaves the secondaries the rest of the request',
  async (t, world) => {
    const primary = await earlyBackend(world, MESSAGE, '0');
    const secondary = await world.frameBackend(async (connection) => {
      connection.send(settings());
      await connection.until(() => connection.hasEnded(1));
      connection.send(headers(1, RESPONSE), headers(1, TRAILERS, END));
    });
    const [conn, other] = [world.dial(primary.port), world.dial(secondary.port)];
    const proxy = await world.proxy(() => ({ primary: { conn }, secondaries: [{ conn: other }] }));
    const client = await world.frameClient(proxy.port);
    client.send(headers(1, REQUEST));
    client.send(data(1, MESSAGE));
    await client.first(1, FrameType.DATA);
    client.send(data(1, MESSAGE));
    client.send(data(1, MESSAGE, Flag.END_STREAM));
    await client.until(() => client.of(1, FrameType.HEADERS).length === 2);
    t.same(
      dataOf(secondary.connections[0]!.of(1, FrameType.DATA)),
      Buffer.concat([MESSAGE, MESSAGE, MESSAGE]),
    );
    t.same(client.of(1, FrameType.RST_STREAM), []);
  },
);

behaviour('grpc-js sees an early answer as what it is', async (t, world) => {
  const backend = await world.grpcBackend({
    [METHOD]: (call) => {
      call.once('data', (message: Buffer) => {
        call.write(message);
        call.end();
      });
    },
    '/test.Service/Echo': echo,
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.grpcClient(proxy.port);
  const call = client.open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('hello'));
  t.match(await result, { code: 0, messages: [Buffer.from('hello')] });
  const next = await client.call('/test.Service/Echo', ['a', 'b']);
  t.match(next, { code: 0, messages: [Buffer.from('a'), Buffer.from('b')] });
});

function withoutNoise(frames: readonly Frame[]): Frame[] {
  return frames.filter(
    ({ type, payload }) =>
      type !== FrameType.WINDOW_UPDATE && (type !== FrameType.DATA || payload.length > 0),
  );
}
