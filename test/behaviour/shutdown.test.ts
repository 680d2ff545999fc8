import { once } from 'node:events';
import net from 'node:net';
import type { CallOutcome, Server } from '../../lib/index.js';
import { waitingBehaviour as behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import {
  data,
  END,
  errorCode,
  FrameType,
  headers,
  PING,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, type Http2Client } from '../support/http2-client.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { TLS } from '../support/wire.js';
import { within } from '../support/within.js';

const DOWNLOAD = '/test.Service/Download';
/** More than the kernel takes for two sockets. */
const LARGE = Buffer.alloc(32 * 1024 * 1024);
const TIMEOUT = 50;
/** By then it is closed: statuses have 100 ms, a connection whose peer does nothing has a second, and slow machines half of one. */
const CLOSED_WITHIN = TIMEOUT + 100 + 1000 + 500;

/** A proxy to a backend that answers one method alone. */
async function proxyToSilent(world: World, peek = false) {
  const received: number[] = [];
  const backend = await world.http2Backend(({ stream, headers }) => {
    received.push(1);
    stream.on('close', () => received.pop());
    if (headers[':path'] === DOWNLOAD) respond(stream, LARGE);
  });
  const conn = world.dial(backend.port);
  const outcomes: CallOutcome[] = [];
  const { port, server } = await world.proxy(
    async (_ctx, _method, peeker) => {
      if (peek) await peeker.peek();
      return { primary: { conn } };
    },
    { observer: { onCall: (outcome) => void outcomes.push(outcome) } },
  );
  return { port, server, outcomes, received, backend };
}

/** Resolves once a client is connected, and what it has sent has arrived. */
async function arrived(client: Http2Client): Promise<void> {
  if (client.session.connecting) await once(client.session, 'connect');
  await client.roundTrip();
}

/** Closes, and says whether that took no longer than it may; resolves with the number of calls that it ended. */
function close(server: Server): Promise<number> {
  return within(CLOSED_WITHIN, 'close()', server.close({ timeoutMilliseconds: TIMEOUT }));
}

behaviour(
  'calls that run when the time to close is over: UNAVAILABLE, server is shutting down',
  async (t, world) => {
    const { port, server, outcomes, received } = await proxyToSilent(world);
    const client = world.http2Client(port);
    const waiting = client.call(METHOD, MESSAGE);
    // This one never half-closes.
    const open = client.open(METHOD);
    open.write(MESSAGE);
    const unfinished = collectResponse(open);
    await eventually('the calls', () => received.length === 2);
    t.equal(await close(server), 2);
    for (const response of [await waiting, await unfinished]) {
      t.equal(status(response), '14');
      t.equal(message(response), 'server is shutting down');
    }
    t.same(
      outcomes.map(({ failure }) => failure?.reason),
      ['draining', 'draining'],
    );
    await eventually('the end of the streams to the backend', () => received.length === 0);
    t.equal(client.session.closed, true);
  },
);

behaviour('calls that end before the time to close is over end as they would', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => setImmediate(() => respond(stream, MESSAGE)));
  const conn = world.dial(backend.port);
  const { port, server } = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(port);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  await arrived(client);
  const closed = server.close({ timeoutMilliseconds: 10_000 });
  stream.end(MESSAGE);
  t.equal(status(await response), '0');
  t.equal(await within(2000, 'close()', closed), 0);
});

behaviour('close() in time: a client that never reads', async (t, world) => {
  const { port, server, backend, outcomes } = await proxyToSilent(world);
  const client = await world.frameClient(port);
  client.send(headers(1, requestTo(DOWNLOAD)), data(1, MESSAGE));
  await client.first(1, FrameType.DATA);
  client.socket.pause();
  // Nothing moves any more.
  let [last, still] = [0, 0];
  await eventually('output is stuck', () => {
    const { bytesWritten } = backend.sessions[0]!.socket;
    still = bytesWritten === last ? still + 1 : 0;
    last = bytesWritten;
    return still > 20;
  });
  await close(server);
  t.same(
    outcomes.map(({ failure }) => failure?.reason),
    ['draining'],
  );
});

behaviour('close() in time: a client that gives no window', async (t, world) => {
  const { port, server, outcomes } = await proxyToSilent(world);
  const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  client.send(headers(1, requestTo(DOWNLOAD)), data(1, MESSAGE));
  await client.first(1, FrameType.HEADERS);
  await close(server);
  t.same(
    outcomes.map(({ failure }) => failure?.reason),
    ['draining'],
  );
});

behaviour('close() in time: a client that is looked at, and sends nothing', async (t, world) => {
  const { port, server, outcomes } = await proxyToSilent(world, true);
  const client = world.http2Client(port);
  const response = collectResponse(client.open(METHOD));
  await arrived(client);
  await close(server);
  t.equal(status(await response), '14');
  t.same(
    outcomes.map(({ failure }) => failure?.reason),
    ['draining'],
  );
});

behaviour('close() in time: a backend that stands still while calls wait for it', async (t, world) => {
  const backend = await world.frameBackend();
  const conn = world.dial(backend.port);
  const { port, server } = await world.proxy(() => ({ primary: { conn } }));
  const call = world.http2Client(port).call(METHOD, MESSAGE);
  await backend.accept();
  await close(server);
  t.equal(status(await call), '14');
  t.equal(message(await call), 'server is shutting down');
});

behaviour('close() in time: a director that never answers', async (t, world) => {
  const { port, server } = await world.proxy(() => new Promise(() => {}));
  const client = world.http2Client(port);
  const call = client.call(METHOD, MESSAGE);
  await arrived(client);
  await close(server);
  t.equal(status(await call), '14');
});

behaviour(
  'close(): clients without a call are gone a second after their GOAWAY, whatever they do',
  async (t, world) => {
    const { port, server } = await proxyToSilent(world);
    const silent = await world.frameClient(port);
    await silent.first(0, FrameType.SETTINGS);
    silent.acknowledges = false;
    const dumb = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const halfPreface = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [dumb, halfPreface]) {
      t.teardown(() => socket.destroy());
      socket.on('error', () => {}).resume();
    }
    halfPreface.write('PRI * HT');
    await Promise.all([once(dumb, 'data'), once(halfPreface, 'data')]);
    const started = performance.now();
    await server.close();
    t.ok(performance.now() - started < 1500);
    await silent.closed;
    const [goaway] = silent.of(0, FrameType.GOAWAY);
    t.equal(errorCode(goaway!), 0);
  },
);

/** What a client goes on to send that never closes its side. */
const ENDLESS: Record<string, (client: FramePeer, id: number) => void> = {
  PINGs: (client) => client.send(PING),
  'WINDOW_UPDATE frames': (client) => client.send(windowUpdate(0, 1)),
  SETTINGS: (client) => client.send(settings()),
  calls: (client, id) => client.send(headers(id, requestTo(METHOD), END)),
  'half of a frame': (client, id) => {
    if (id === 1) client.send(headers(id, requestTo(METHOD)).subarray(0, 20));
  },
};

for (const [what, send] of Object.entries(ENDLESS)) {
  behaviour(`close(): a client that goes on to send ${what} is gone as soon`, async (t, world) => {
    const { server, port } = await world.serve({ unknownServiceHandler: () => {} });
    const client = await world.frameClient(port);
    client.socket.allowHalfOpen = true;
    await client.roundTrip();
    let id = -1;
    const timer = setInterval(() => {
      id += 2;
      send(client, id);
    }, 2);
    t.teardown(() => clearInterval(timer));
    await eventually('it has begun', () => id >= 1);
    const started = performance.now();
    await within(3000, 'close()', server.close());
    // 0.8 s where the machine has nothing else to do.
    t.ok(performance.now() - started < 2500, `${performance.now() - started} ms`);
  });
}

behaviour('close(): a client that never takes its answers, which are complete', async (t, world) => {
  // Without a time it is waited for; with one it is not.
  const { server, port } = await world.serve({
    unknownServiceHandler: (stream) => stream.sendMessage(LARGE),
    limits: { maxHeldBytes: Infinity, maxHeldBytesPerConnection: Infinity },
  });
  const client = await world.frameClient(port);
  client.send(headers(1, requestTo(METHOD), END));
  await client.first(1, FrameType.DATA);
  client.socket.pause();
  const started = performance.now();
  await close(server);
  t.ok(performance.now() - started >= TIMEOUT - 1);
});

behaviour('close() can be given a time later', async (t, world) => {
  const { port, server } = await proxyToSilent(world);
  const client = world.http2Client(port);
  const waiting = client.call(METHOD, MESSAGE);
  await arrived(client);
  const first = server.close();
  await close(server);
  await first;
  t.equal(status(await waiting), '14');
});

behaviour('close(): a TLS handshake that is never finished', async (t, world) => {
  const { port, server } = await world.serve(TLS.serverOptions);
  const socket = net.connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => {}).resume();
  await once(socket, 'connect');
  // A TLS record that is never complete.
  socket.write(Buffer.from([0x16, 3, 1, 1, 0, 1]));
  // The first one has been accepted once another is served.
  const other = world.http2Client(port, TLS);
  await once(other.session, 'remoteSettings');
  const closed = within(1500, 'the end of the socket', once(socket, 'close'));
  await within(1500, 'close()', server.close());
  await closed;
});

behaviour('listen() rejects once the server is closed', async (t, world) => {
  const { server } = await world.serve({});
  await server.close();
  await t.rejects(server.listen('127.0.0.1:0'), /closed/);
});

behaviour('close() refuses a time that is none', async (t, world) => {
  const { server } = await world.serve({});
  for (const timeoutMilliseconds of [-1, Number.NaN]) {
    await t.rejects(server.close({ timeoutMilliseconds }), RangeError);
  }
});
