import {
  Code,
  type Destination,
  encodeMessage,
  type StatusError,
  type StreamInterceptor,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { REQUEST, RESPONSE, TRAILERS } from '../support/fields.js';
import {
  data,
  dataOf,
  END,
  errorCode,
  Flag,
  FrameType,
  headers,
  resetStream,
  settings,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

/** Backends that take requests and never answer, but for response headers if `respond` says so. */
async function silentBackends(world: World, count: number, answers = false) {
  const connections: Promise<FramePeer>[] = [];
  const destinations: Destination[] = [];
  for (let i = 0; i < count; i++) {
    const backend = await world.frameBackend(async (connection) => {
      connection.send(settings());
      if (answers) {
        await connection.first(1, FrameType.HEADERS);
        connection.send(headers(1, RESPONSE));
      }
    });
    connections.push(backend.accept());
    destinations.push({ conn: world.dial(backend.port) });
  }
  return { connections, destinations };
}

const CANCELS = ['resets', 'closes', 'vanishes'] as const;

for (const cancel of CANCELS) {
  for (const state of [
    'uploading',
    'half-closed',
    'uploading, headers received',
    'half-closed, headers received',
  ] as const) {
    behaviour(`the client ${cancel} while ${state}: CANCEL at every destination`, async (t, world) => {
      const { connections, destinations } = await silentBackends(world, 3, state.endsWith('received'));
      const outcomes: [string, StatusError | undefined][] = [];
      let finish!: () => void;
      const finished = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const interceptor: StreamInterceptor = async (_stream, next) => {
        try {
          await next();
        } catch (error) {
          outcomes.push(['interceptor', error as StatusError]);
          throw error;
        } finally {
          finish();
        }
      };
      const [primary, ...secondaries] = destinations;
      const proxy = await world.proxy(
        () => ({
          primary: primary!,
          secondaries,
          requestFinalizer: (error) => {
            outcomes.push(['finalizer', error]);
          },
        }),
        { interceptors: [interceptor] },
      );
      const client = await world.frameClient(proxy.port);
      client.send(headers(1, REQUEST));
      client.send(data(1, MESSAGE, state.startsWith('half-closed') ? Flag.END_STREAM : 0));
      const all = await Promise.all(connections);
      for (const connection of all) await connection.first(1, FrameType.DATA);
      if (state.endsWith('received')) await client.first(1, FrameType.HEADERS);
      if (state.startsWith('half-closed'))
        for (const connection of all) await connection.until(() => connection.hasEnded(1));
      if (cancel === 'resets') client.send(resetStream(1, 8));
      else if (cancel === 'closes') client.socket.end();
      else client.socket.resetAndDestroy();
      for (const connection of all) {
        t.equal(errorCode(await connection.first(1, FrameType.RST_STREAM)), 8);
        t.equal(connection.hasEnded(1), state.startsWith('half-closed'));
      }
      await finished;
      t.same(
        outcomes.map(([who, error]) => [who, error?.code]),
        [
          ['finalizer', Code.CANCELLED],
          ['interceptor', Code.CANCELLED],
        ],
      );
    });
  }
}

behaviour('the deadline passes: DEADLINE_EXCEEDED, and CANCEL at every destination', async (t, world) => {
  const { connections, destinations } = await silentBackends(world, 2);
  const proxy = await world.proxy(() => ({ primary: destinations[0]!, secondaries: [destinations[1]!] }));
  const stream = world.http2Client(proxy.port).open(METHOD, { 'grpc-timeout': '500m' });
  stream.write(MESSAGE);
  const start = performance.now();
  const response = await collectResponse(stream);
  t.ok(performance.now() - start > 490);
  t.ok(performance.now() - start < 2500);
  t.equal(response.trailersOnly, true);
  t.equal(fieldValue(response.headers, 'grpc-status'), '4');
  t.equal(response.resetCode, 0);
  for (const connection of await Promise.all(connections)) {
    t.equal(errorCode(await connection.first(1, FrameType.RST_STREAM)), 8);
    t.equal(connection.hasEnded(1), false);
  }
});

behaviour("a secondary's own deadline is its error alone", async (t, world) => {
  const primary = await world.http2Backend(({ stream }) => respond(stream, MESSAGE));
  const { connections, destinations } = await silentBackends(world, 1);
  const conn = world.dial(primary.port);
  const told: StatusError[] = [];
  const proxy = await world.proxy((ctx) => ({
    primary: { conn },
    secondaries: [
      {
        ...destinations[0]!,
        ctx: ctx.withTimeout(500),
        errHandler: (error) => {
          told.push(error);
          return null;
        },
      },
    ],
  }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  t.match(told, [{ code: Code.DEADLINE_EXCEEDED }]);
  t.equal(errorCode(await (await connections[0]!).first(1, FrameType.RST_STREAM)), 8);
});

behaviour("the call option's deadline ends the call", async (t, world) => {
  const { connections, destinations } = await silentBackends(world, 1, true);
  const proxy = await world.proxy(() => ({
    primary: destinations[0]!,
    callOptions: { deadline: new Date(Date.now() + 500) },
  }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '4');
  t.equal(errorCode(await (await connections[0]!).first(1, FrameType.RST_STREAM)), 8);
});

behaviour("a destination's own signal cancels it alone", async (t, world) => {
  const { connections, destinations } = await silentBackends(world, 1);
  const primary = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, MESSAGE);
  });
  const conn = world.dial(primary.port);
  const controller = new AbortController();
  const told: StatusError[] = [];
  const proxy = await world.proxy((ctx) => ({
    primary: { conn },
    secondaries: [
      {
        ...destinations[0]!,
        ctx: ctx.withSignal(controller.signal),
        errHandler: (error) => {
          told.push(error);
          return null;
        },
      },
    ],
  }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  stream.write(MESSAGE);
  const connection = await connections[0]!;
  await connection.first(1, FrameType.DATA);
  controller.abort();
  t.equal(errorCode(await connection.first(1, FrameType.RST_STREAM)), 8);
  stream.end();
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
  t.match(told, [{ code: Code.CANCELLED }]);
});

behaviour('a client that cancels while the director thinks: no backend is contacted', async (t, world) => {
  const { destinations } = await silentBackends(world, 1);
  let asked!: () => void;
  const asking = new Promise<void>((resolve) => {
    asked = resolve;
  });
  let finalized!: (error: StatusError | undefined) => void;
  const outcome = new Promise<StatusError | undefined>((resolve) => {
    finalized = resolve;
  });
  const opened: string[] = [];
  const proxy = await world.proxy(async (ctx) => {
    asked();
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
    t.match(ctx.signal.reason, { code: Code.CANCELLED });
    return {
      primary: destinations[0]!,
      requestFinalizer: finalized,
      callOptions: { onFinish: () => opened.push('finish') },
    };
  });
  const client = await world.frameClient(proxy.port);
  client.send(headers(1, REQUEST));
  await asking;
  client.send(resetStream(1, 8));
  t.match(await outcome, { code: Code.CANCELLED });
  t.same(opened, []);
});

behaviour('a client that cancels while a stream waits for its connection', async (t, world) => {
  const backend = await world.frameBackend(() => {});
  const conn = world.dial(backend.port);
  let finalized!: (error: StatusError | undefined) => void;
  const outcome = new Promise<StatusError | undefined>((resolve) => {
    finalized = resolve;
  });
  let asked!: () => void;
  const asking = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const proxy = await world.proxy(() => {
    setImmediate(asked);
    return { primary: { conn }, requestFinalizer: finalized };
  });
  const client = await world.frameClient(proxy.port);
  client.send(headers(1, REQUEST));
  await asking;
  client.send(resetStream(1, 8));
  t.match(await outcome, { code: Code.CANCELLED });
  // The next call finds the connection, and the cancelled one leaves no trace on it.
  client.send(headers(3, REQUEST, END));
  const connection = await backend.accept();
  connection.send(settings());
  await connection.first(1, FrameType.HEADERS);
  connection.send(headers(1, RESPONSE));
  connection.send(headers(1, TRAILERS, END));
  await client.until(() => client.of(3, FrameType.HEADERS).length === 2);
  t.equal(backend.connections.length, 1);
});

behaviour('a secondary that dies during the upload is dropped alone', async (t, world) => {
  for (const death of ['reset', 'connection', 'status']) {
    const received: Buffer[][] = [[], []];
    const ports: number[] = [];
    for (const chunks of received) {
      const backend = await world.http2Backend(async ({ stream, body }) => {
        chunks.push((await body()).data);
        respond(stream);
      });
      ports.push(backend.port);
    }
    const dying = await world.frameBackend(async (connection) => {
      connection.send(settings());
      await connection.first(1, FrameType.DATA);
      if (death === 'reset') connection.send(resetStream(1, 2));
      else if (death === 'connection') connection.destroy();
      else connection.send(headers(1, [...RESPONSE, 'grpc-status', '8'], END));
    });
    let died!: () => void;
    const dead = new Promise<void>((resolve) => {
      died = resolve;
    });
    const [primary, other, third] = [...ports, dying.port].map((port) => world.dial(port));
    const proxy = await world.proxy(() => ({
      primary: { conn: primary! },
      secondaries: [
        {
          conn: third!,
          errHandler: () => {
            died();
            return null;
          },
        },
        { conn: other! },
      ],
    }));
    const stream = world.http2Client(proxy.port).open(METHOD);
    const response = collectResponse(stream);
    stream.write(MESSAGE);
    await dead;
    const message = encodeMessage(Buffer.alloc(40_000, 7));
    for (let i = 0; i < 100; i++) stream.write(message);
    stream.end();
    t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
    const expected = Buffer.concat([MESSAGE, ...new Array<Buffer>(100).fill(message)]);
    for (const [body] of received) t.ok(body?.equals(expected));
  }
});

behaviour('a secondary that dies while it is full frees the client', async (t, world) => {
  const received: Buffer[] = [];
  const backend = await world.http2Backend(async ({ stream, body }) => {
    received.push((await body()).data);
    respond(stream);
  });
  // It never opens its window of 64 KiB.
  const stuck = await world.frameBackend((connection) => connection.send(settings()));
  const [conn, other] = [world.dial(backend.port), world.dial(stuck.port)];
  const proxy = await world.proxy(() => ({
    primary: { conn },
    secondaries: [{ conn: other, errHandler: () => null }],
  }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  const body = encodeMessage(Buffer.alloc(4 * 1024 * 1024, 7));
  stream.end(body);
  const connection = await stuck.accept();
  await connection.until(() => dataOf(connection.of(1, FrameType.DATA)).length === 65_535);
  t.equal(received.length, 0);
  connection.send(resetStream(1, 2));
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
  t.ok(received[0]?.equals(body));
});
