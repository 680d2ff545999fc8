import { behaviour, type World, waitingBehaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE, requestTo, TRAILERS } from '../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  FrameType,
  goAway,
  headers,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import type { Http2Client } from '../support/http2-client.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';

/** It is not answered. */
const HOLD = '/test.Service/Hold';
/** It is answered by what ends the connection. */
const ATTACK = '/test.Service/Attack';
const MANY = 100;

/** A backend that does what the path says. */
async function backendOf(world: World, attack: (connection: FramePeer, streamId: number) => void = () => {}) {
  /** Ends the streams that are not answered. */
  const held: (() => void)[] = [];
  /** The streams by connection, and what they are. */
  const streams: string[][] = [];
  const backend = await world.frameBackend(async (connection) => {
    const here: string[] = [];
    streams.push(here);
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]), windowUpdate(0, 2 ** 20));
    for (;;) {
      await connection.until(() => connection.frames.some(({ type }) => type === FrameType.HEADERS));
      const { streamId } = connection.frames.find(({ type }) => type === FrameType.HEADERS)!;
      const fields = await connection.nextHeaders(streamId);
      const path = fields[fields.indexOf(':path') + 1]!;
      here.push(`${path} ${fields[fields.indexOf('x-client') + 1]}`);
      if (path === ATTACK) attack(connection, streamId);
      else if (path === METHOD) finish(streamId, connection);
      else held.push(() => finish(streamId, connection));
    }
  });
  const finish = (streamId: number, connection: FramePeer): void => {
    if (!connection.isClosed) connection.send(headers(streamId, RESPONSE), headers(streamId, TRAILERS, END));
  };
  const opened = () => streams.reduce((sum, { length }) => sum + length, 0);
  return { backend, streams, opened, held };
}

async function hold(world: World, port: number, count: number): Promise<void> {
  const client = await world.frameClient(port);
  for (let i = 0; i < count; i++) client.send(headers(2 * i + 1, [...requestTo(HOLD), 'x-client', 'heavy']));
}

function call(client: Http2Client, path: string, name: string) {
  return client.call(path, MESSAGE, { 'x-client': name });
}

behaviour('maxStreamsPerConnection spreads calls over connections', async (t, world) => {
  const { backend, streams, opened } = await backendOf(world);
  const conn = world.dial(backend.port, { limits: { maxStreamsPerConnection: 3 } });
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  await hold(world, port, 9);
  await eventually('all calls', () => opened() === 9);
  t.same(
    streams.map(({ length }) => length),
    [3, 3, 3],
  );
});

behaviour('a client with many streams has them on connections of its own', async (t, world) => {
  const { backend, streams, opened } = await backendOf(world);
  const conn = world.dial(backend.port, { limits: { maxStreamsPerConnection: 150 } });
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  const light = world.http2Client(port);
  t.equal(status(await call(light, METHOD, 'light')), '0');
  await hold(world, port, 5 * MANY);
  await eventually('all calls', () => opened() === 5 * MANY + 1);
  for (let i = 0; i < 10; i++) t.equal(status(await call(light, METHOD, 'light')), '0');
  const shared = streams.filter((here) => here.includes(`${METHOD} light`));
  t.equal(shared.length, 1, "the others' connection has room");
  t.equal(shared[0]!.filter((stream) => stream.endsWith('heavy')).length, MANY);
  t.equal(backend.connections.length, 4);
});

behaviour('all clients share connections where maxConnections leaves no other way', async (t, world) => {
  const { backend, opened } = await backendOf(world);
  const conn = world.dial(backend.port, { limits: { maxConnections: 1 } });
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  await hold(world, port, 2 * MANY);
  await eventually('all calls', () => opened() === 2 * MANY);
  t.equal(status(await call(world.http2Client(port), METHOD, 'light')), '0');
  t.equal(backend.connections.length, 1);
});

for (const [what, attack] of [
  [
    'a frame that is too large',
    (connection: FramePeer, id: number) => connection.send(data(id, Buffer.alloc(20_000))),
  ],
  [
    'a GOAWAY with an error code',
    (connection: FramePeer, id: number) => connection.send(goAway(id, ErrorCode.PROTOCOL_ERROR)),
  ],
] as const) {
  waitingBehaviour(
    `a client that makes the backend answer by ${what} takes another's calls but once`,
    async (t, world) => {
      const { backend, held } = await backendOf(world, attack);
      const conn = world.dial(backend.port, {
        limits: { keepalive: { timeMilliseconds: 100, timeoutMilliseconds: 100 } },
      });
      const { port } = await world.proxy(() => ({ primary: { conn } }));
      const [victim, attacker] = [world.http2Client(port), world.http2Client(port)];
      const ended: (string | undefined)[] = [];
      for (let round = 1; round <= 4; round++) {
        t.equal(status(await call(victim, METHOD, 'victim')), '0');
        const running = call(victim, HOLD, 'victim');
        await eventually('the call', () => held.length === round);
        t.equal(status(await call(attacker, ATTACK, 'attacker')), '14');
        held[round - 1]!();
        ended.push(status(await running));
      }
      t.same(ended, ['14', '0', '0', '0']);
    },
  );
}
