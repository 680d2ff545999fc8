import type { ClientHttp2Stream } from 'node:http2';
import http2 from 'node:http2';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import { END, Flag, FrameType, headers, Setting, settings, windowUpdate } from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { collectResponse } from '../support/http2-client.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';

/** What a connection to a backend may reset. */
const RESETS = 10;
/** When so many are left, it takes no new calls. */
const RESERVE = RESETS / 5;

/** A backend that answers what has been half-closed, and a proxy whose connections to it may reset little. */
async function limited(world: World, limits = {}) {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]), windowUpdate(0, 2 ** 20));
    for (;;) {
      const { streamId } = await connection.next(
        ({ type, flags }) => type <= FrameType.HEADERS && (flags & Flag.END_STREAM) !== 0,
      );
      connection.send(headers(streamId, RESPONSE), headers(streamId, TRAILERS, END));
    }
  });
  const conn = world.dial(backend.port, {
    limits: { resets: { burst: RESETS, perSecond: 0.001 }, ...limits },
  });
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  return { backend, client: world.http2Client(port), conn };
}

const opened = ({ frames }: FramePeer): number =>
  frames.filter(({ type }) => type === FrameType.HEADERS).length;
const resets = ({ frames }: FramePeer): number =>
  frames.filter(({ type }) => type === FrameType.RST_STREAM).length;
const saysGoodbye = ({ frames }: FramePeer): boolean => frames.some(({ type }) => type === FrameType.GOAWAY);

/** A call that has reached the backend, and is not half-closed. */
async function running(
  client: { open(path: string, headers?: object, waitForTrailers?: boolean): ClientHttp2Stream },
  connections: readonly FramePeer[],
) {
  const before = connections.reduce((sum, connection) => sum + opened(connection), 0);
  const stream = client.open(METHOD, {}, true);
  stream.write(MESSAGE);
  await eventually(
    'the call',
    () => connections.reduce((sum, connection) => sum + opened(connection), 0) > before,
  );
  return stream;
}

function cancel(stream: ClientHttp2Stream): void {
  stream.close(http2.constants.NGHTTP2_CANCEL);
}

behaviour(
  'a connection that has reset many streams takes no new calls, and those on it finish',
  async (t, world) => {
    const { backend, client, conn } = await limited(world);
    const wanted = await running(client, backend.connections);
    const response = collectResponse(wanted);
    const [first] = backend.connections;
    for (let i = 1; i <= RESETS - RESERVE; i++) {
      cancel(await running(client, backend.connections));
      await first!.until(() => resets(first!) === i);
    }
    // The next one may be the last: it is for a stream that runs already.
    const last = await running(client, backend.connections);
    cancel(last);
    await first!.until(() => resets(first!) === RESETS - RESERVE + 1);
    t.equal(backend.connections.length, 1);
    t.equal(status(await client.call(METHOD, MESSAGE)), '0', 'a new call goes to another connection at once');
    t.equal(backend.connections.length, 2);
    t.equal(conn.state.name, 'READY');
    t.equal(first!.isClosed, false);
    wanted.end(MESSAGE);
    t.equal(status(await response), '0');
    await first!.closed;
    t.ok(saysGoodbye(first!));
  },
);

behaviour(
  'resets beyond the limit are kept back, and the connection ends with its last wanted stream',
  async (t, world) => {
    const { backend, client } = await limited(world);
    const wanted = await running(client, backend.connections);
    const response = collectResponse(wanted);
    const [first] = backend.connections;
    const unwanted: ClientHttp2Stream[] = [];
    for (let i = 0; i < 3 * RESETS; i++) unwanted.push(await running(client, backend.connections));
    t.equal(backend.connections.length, 1);
    for (const stream of unwanted) cancel(stream);
    await first!.until(() => resets(first!) === RESETS);
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.equal(backend.connections.length, 2, 'a new call goes to another connection at once');
    await client.roundTrip();
    t.equal(resets(first!), RESETS);
    t.equal(first!.isClosed, false);
    wanted.end(MESSAGE);
    t.equal(status(await response), '0');
    await first!.closed;
  },
);

behaviour('resets that were kept back are sent as the rate allows', async (t, world) => {
  const { backend, client } = await limited(world, {
    resets: { burst: RESETS, perSecond: 200 },
    settingsTimeoutMilliseconds: 100,
  });
  const wanted = await running(client, backend.connections);
  const response = collectResponse(wanted);
  const [first] = backend.connections;
  const unwanted: ClientHttp2Stream[] = [];
  for (let i = 0; i < 2 * RESETS; i++) unwanted.push(await running(client, backend.connections));
  for (const stream of unwanted) cancel(stream);
  await first!.until(() => resets(first!) === 2 * RESETS);
  wanted.end(MESSAGE);
  t.equal(status(await response), '0');
  await first!.closed;
});

behaviour('cancelled calls without end cost few connections, and no other call', async (t, world) => {
  const { backend, client } = await limited(world);
  const calls = 6 * RESETS;
  for (let i = 0; i < calls; i++) {
    cancel(await running(client, backend.connections));
    if (i % 5 === 0) t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  }
  const most = Math.ceil(calls / (RESETS - RESERVE)) + 1;
  t.ok(backend.connections.length <= most, `${backend.connections.length} connections for ${calls} resets`);
});

behaviour(
  'where maxConnections leaves no other, calls go on a connection that is spared',
  async (t, world) => {
    const { backend, client } = await limited(world, { maxConnections: 1 });
    const wanted = await running(client, backend.connections);
    const response = collectResponse(wanted);
    const [first] = backend.connections;
    for (let i = 0; i <= RESETS - RESERVE; i++) cancel(await running(client, backend.connections));
    await first!.until(() => resets(first!) === RESETS - RESERVE + 1);
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.equal(backend.connections.length, 1);
    wanted.end(MESSAGE);
    t.equal(status(await response), '0');
    t.equal(status(await client.call(METHOD, MESSAGE)), '0', 'and is closed when it is not needed any more');
    t.equal(backend.connections.length, 2);
  },
);
