import { once } from 'node:events';
import net from 'node:net';
import {
  type CallOutcome,
  Code,
  type DialOptions,
  encodeMessage,
  type ServerOptions,
} from '../../lib/index.js';
import { waitingBehaviour as behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import {
  data,
  ErrorCode,
  errorCode,
  Flag,
  FrameType,
  headers,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { respond } from '../support/http2-backend.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { TLS } from '../support/wire.js';
import { within } from '../support/within.js';

const MIB = 1024 * 1024;
/** More than a chunk that is sent. */
const STEP = 128 * 1024;
const HOLD = '/test.Service/Hold';
const DOWNLOAD = '/test.Service/Download';
const LARGE = encodeMessage(Buffer.alloc(24 * MIB));

interface Limits {
  readonly server?: ServerOptions['limits'];
  readonly dial?: DialOptions['limits'];
}

/** A proxy to a backend that answers as the path says, with such limits on both of its sides. */
async function limited(world: World, { server, dial }: Limits) {
  const finish: (() => void)[] = [];
  const backend = await world.http2Backend(({ stream, headers }) => {
    if (headers[':path'] === HOLD) finish.push(() => respond(stream, MESSAGE));
    else if (headers[':path'] === DOWNLOAD) respond(stream, LARGE);
    else respond(stream, MESSAGE);
  });
  const conn = world.dial(backend.port, { limits: dial });
  const outcomes: CallOutcome[] = [];
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    limits: server,
    observer: { onCall: (outcome) => void outcomes.push(outcome) },
  });
  const reasons = () => outcomes.map(({ failure }) => failure?.reason);
  return { port, backend, conn, finish, reasons };
}

function call(client: FramePeer, id: number, path: string): void {
  client.send(headers(id, requestTo(path)), data(id, MESSAGE, Flag.END_STREAM));
}

/** What each GOAWAY says: the last stream, the code, the debug data. */
function goaways(client: FramePeer): [number, number, string][] {
  return client
    .of(0, FrameType.GOAWAY)
    .map((f) => [f.payload.readUInt32BE(0), errorCode(f), f.payload.toString('latin1', 8)]);
}

/** What the GOAWAY says, and that the connection ends. */
async function debugData(client: FramePeer): Promise<string> {
  const { payload } = await within(3000, 'GOAWAY', client.first(0, FrameType.GOAWAY));
  return payload.toString('latin1', 8);
}

/** Waits: the time is what the test is about. */
function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

behaviour('a client that gives no window loses that stream after the stall timeout', async (t, world) => {
  const { port, reasons } = await limited(world, { server: { stallTimeoutMilliseconds: 100 } });
  const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  call(client, 1, HOLD);
  call(client, 3, DOWNLOAD);
  t.equal(await within(3000, 'the reset', client.resetCode(3)), ErrorCode.ENHANCE_YOUR_CALM);
  await eventually('the outcome', () => reasons().length === 1);
  t.same(reasons(), ['limit']);
  await client.roundTrip();
  t.same(client.of(1, FrameType.RST_STREAM), [], 'a call that has nothing to send may wait');
});

behaviour('a short answer that is never taken is let go of, too', async (t, world) => {
  const { port } = await limited(world, { server: { stallTimeoutMilliseconds: 100 } });
  const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  call(client, 1, METHOD);
  t.equal(await within(3000, 'the reset', client.resetCode(1)), ErrorCode.ENHANCE_YOUR_CALM);
});

behaviour('a stream has all of its time, also when it was silent for longer before', async (t, world) => {
  const { port, finish } = await limited(world, { server: { stallTimeoutMilliseconds: 400 } });
  const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  call(client, 1, HOLD);
  await eventually('the call', () => finish.length === 1);
  await pass(600);
  finish[0]!();
  await client.first(1, FrameType.HEADERS);
  const startedAt = performance.now();
  t.equal(await within(3000, 'the reset', client.resetCode(1)), ErrorCode.ENHANCE_YOUR_CALM);
  t.ok(performance.now() - startedAt > 250, `${performance.now() - startedAt} ms`);
});

behaviour('a backend that gives no window: RESOURCE_EXHAUSTED after the stall timeout', async (t, world) => {
  const backend = await world.frameBackend((connection) =>
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 0])),
  );
  const conn = world.dial(backend.port, { limits: { stallTimeoutMilliseconds: 100 } });
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  const response = await within(3000, 'the call', world.http2Client(port).call(METHOD, MESSAGE));
  t.equal(status(response), '8');
  t.match(message(response), /nothing of it was taken for too long/);
  const connection = await backend.accept();
  t.equal(await connection.resetCode(1), ErrorCode.ENHANCE_YOUR_CALM);
  t.equal(connection.isClosed, false);
});

behaviour('a client that is slow but takes something is not cut', async (t, world) => {
  const { port } = await limited(world, { server: { stallTimeoutMilliseconds: 1000 } });
  const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  call(client, 1, DOWNLOAD);
  await client.first(1, FrameType.HEADERS);
  const received = () => client.of(1, FrameType.DATA).reduce((sum, { payload }) => sum + payload.length, 0);
  // In all longer than it may stand still. node:http2 tells of what has gone out by the whole chunk.
  for (let given = STEP; given <= 12 * STEP; given += STEP) {
    client.send(windowUpdate(1, STEP));
    await within(
      2000,
      'what there is room for',
      client.until(() => received() === given || client.of(1, FrameType.RST_STREAM).length > 0),
    );
    await pass(125);
  }
  t.same(client.of(1, FrameType.RST_STREAM), []);
});

behaviour('clients that do not begin to speak HTTP/2 in time are left', async (t, world) => {
  const limits = { handshakeTimeoutMilliseconds: 60 };
  for (const wire of [{}, TLS.serverOptions]) {
    const { port } = await world.serve({ limits, ...wire });
    for (const said of ['', 'PRI * HTTP/2.0\r\n\r\nSM']) {
      const socket = net.connect(port, '127.0.0.1');
      t.teardown(() => socket.destroy());
      const closed = once(socket.on('error', () => {}).resume(), 'close');
      if (said !== '' && wire !== TLS.serverOptions) socket.write(said);
      await within(3000, 'the close', closed);
    }
  }
  t.pass('all are closed');
});

behaviour('a client without calls is told max_idle, and one with a call is not', async (t, world) => {
  const { port, finish } = await limited(world, { server: { idleTimeoutMilliseconds: 100 } });
  const busy = await world.frameClient(port);
  call(busy, 1, HOLD);
  await eventually('the call', () => finish.length === 1);
  const idle = await world.frameClient(port);
  call(idle, 1, METHOD);
  t.equal(await debugData(idle), 'max_idle');
  t.ok(idle.hasEnded(1));
  await within(3000, 'the end', idle.closed);
  await busy.roundTrip();
  t.same(busy.of(0, FrameType.GOAWAY), []);
  finish[0]!();
  t.equal(await debugData(busy), 'max_idle');
  t.ok(busy.hasEnded(1));
});

behaviour('a client whose calls are short is not idle between them', async (t, world) => {
  const { port } = await limited(world, { server: { idleTimeoutMilliseconds: 200 } });
  const client = await world.frameClient(port);
  const until = performance.now() + 900;
  for (let id = 1; performance.now() < until; id += 2) {
    call(client, id, METHOD);
    await client.until(() => client.hasEnded(id) || client.isClosed);
    await pass(5);
  }
  t.same(client.of(0, FrameType.GOAWAY), []);
});

behaviour('a backend without calls is disconnected after the idle timeout', async (t, world) => {
  const { port, backend, conn, finish } = await limited(world, { dial: { idleTimeoutMilliseconds: 100 } });
  const client = world.http2Client(port);
  const held = client.call(HOLD, MESSAGE);
  await eventually('the call', () => finish.length === 1);
  await pass(250);
  t.equal(conn.state.name, 'READY', 'not while a call runs');
  finish[0]!();
  t.equal(status(await held), '0');
  await within(3000, 'the end', conn.waitForStateChange('READY'));
  t.equal(conn.state.name, 'IDLE');
  await eventually('the end of the session', () => backend.sessions[0]!.destroyed);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0', 'and connected again when it is needed');
  t.equal(backend.sessions.length, 2);
});

behaviour('a connection that is old is told max_age, and its calls finish', async (t, world) => {
  const { port, finish } = await limited(world, { server: { maxAgeMilliseconds: 100 } });
  const client = await world.frameClient(port);
  call(client, 1, HOLD);
  t.equal(await debugData(client), 'max_age');
  await eventually('the call', () => finish.length === 1);
  // The second step of RFC 9113 section 6.8, for which node:http2 has no means: its first GOAWAY is the last.
  await client.until(() => goaways(client).some(([last]) => last === 1));
  t.equal(client.isClosed, false);
  finish[0]!();
  await within(3000, 'the end', client.closed);
  t.ok(client.hasEnded(1));
  const said = goaways(client).slice(0, 2);
  const isInSteps = world.transports.server === 'frames';
  t.same(said[0], [isInSteps ? 2 ** 31 - 1 : 1, ErrorCode.NO_ERROR, 'max_age']);
  t.same(said[1], [1, ErrorCode.NO_ERROR, isInSteps ? 'max_age' : '']);
});

behaviour('a backend that ages its connections out says so to the end', async (t, world) => {
  const { server, port } = await world.serve({
    limits: { maxAgeMilliseconds: 100, maxAgeGraceMilliseconds: 300 },
    unknownServiceHandler: () => new Promise(() => {}),
  });
  const conn = world.dial(port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const response = await within(3000, 'the call', world.http2Client(proxy.port).call(METHOD, MESSAGE));
  t.equal(status(response), '14');
  t.match(message(response), /lost: GOAWAY NO_ERROR, "max_age"/);
  server.destroy();
});

behaviour('the calls of an old connection are cut once their grace is over', async (t, world) => {
  const { port, reasons } = await limited(world, {
    server: { maxAgeMilliseconds: 100, maxAgeGraceMilliseconds: 1000 },
  });
  const client = await world.frameClient(port);
  call(client, 1, HOLD);
  t.equal(await debugData(client), 'max_age');
  await within(3000, 'the end', client.closed);
  await eventually('the outcome', () => reasons().length === 1);
  t.same(reasons(), ['client_gone']);
});

behaviour(
  'connections above maxConnections are closed as they come, until others have left',
  async (t, world) => {
    const { port } = await limited(world, { server: { maxConnections: 2 } });
    const clients = [await world.frameClient(port), await world.frameClient(port)];
    for (const client of clients) await client.roundTrip();
    const third = await world.frameClient(port);
    await within(1000, 'the end', third.closed);
    for (const client of clients) await client.roundTrip();
    clients[0]!.destroy();
    // When the server hears of it nobody tells.
    let response: string | undefined;
    while (response !== '0') response = status(await world.http2Client(port).call(METHOD, MESSAGE));
    await clients[1]!.roundTrip();
    t.equal(clients[1]!.isClosed, false);
  },
);

const keepalive = { timeMilliseconds: 60, timeoutMilliseconds: 60 };

behaviour('a client that answers no PING is left, and one that answers stays', async (t, world) => {
  const { port, reasons, finish } = await limited(world, { server: { keepalive } });
  const [mute, alive] = [await world.frameClient(port), await world.frameClient(port)];
  call(mute, 1, HOLD);
  call(alive, 1, HOLD);
  await eventually('the calls', () => finish.length === 2);
  await mute.roundTrip();
  mute.acknowledges = false;
  await within(3000, 'the end', mute.closed);
  await eventually('the outcome', () => reasons().length === 1);
  t.same(reasons(), ['client_gone']);
  await alive.first(0, FrameType.PING);
  await alive.roundTrip();
  t.equal(alive.isClosed, false);
});

behaviour('a client that answers no PING is left, also when it has no call', async (t, world) => {
  const { port } = await limited(world, { server: { keepalive } });
  const client = await world.frameClient(port);
  call(client, 1, METHOD);
  await client.until(() => client.hasEnded(1));
  client.acknowledges = false;
  await within(3000, 'the end', client.closed);
  t.pass('closed');
});

behaviour('a backend that answers no PING is left: UNAVAILABLE', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    await connection.first(1, FrameType.DATA);
    connection.acknowledges = false;
  });
  const conn = world.dial(backend.port, { limits: { keepalive } });
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  const response = await within(3000, 'the call', world.http2Client(port).call(METHOD, MESSAGE));
  t.equal(status(response), '14');
  t.match(message(response), /silent and does not answer a PING|took nothing|takes nothing/);
});

behaviour('a client that reads nothing of what it is sent is found', async (t, world) => {
  const { port, reasons } = await limited(world, { server: { keepalive } });
  const client = await world.frameClient(port);
  call(client, 1, DOWNLOAD);
  await client.first(1, FrameType.DATA);
  client.socket.pause();
  await eventually('the outcome', () => reasons().length === 1);
  t.same(reasons(), ['client_gone']);
});

behaviour('a backend that reads nothing of what it is sent is found', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 30]), windowUpdate(0, 2 ** 30));
    await connection.first(1, FrameType.DATA);
    connection.socket.pause();
  });
  const conn = world.dial(backend.port, { limits: { keepalive } });
  const ended = deferred<CallOutcome>();
  const observer = { onCall: ended.resolve };
  const { port } = await world.proxy(() => ({ primary: { conn } }), { observer });
  const stream = world.http2Client(port).open(METHOD);
  stream.end(LARGE);
  const { failure } = await within(15_000, 'the end', ended.promise);
  t.match(failure, { reason: 'backend_connection_lost', error: { code: Code.UNAVAILABLE } });
});
