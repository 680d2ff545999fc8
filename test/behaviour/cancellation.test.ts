import {
  Code,
  type Destination,
  encodeMessage,
  type StatusError,
  type StreamInterceptor,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import {
  END_STREAM,
  type FrameConnection,
  FrameType,
  REQUEST_HEADERS,
  RESPONSE_HEADERS,
  resetCode,
} from '../support/frames.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

/** Backends that take requests and never answer, but for response headers if `respond` says so. */
async function silentBackends(world: World, count: number, answers = false) {
  const connections: Promise<FrameConnection>[] = [];
  const destinations: Destination[] = [];
  for (let i = 0; i < count; i++) {
    let connected!: (connection: FrameConnection) => void;
    connections.push(
      new Promise((resolve) => {
        connected = resolve;
      }),
    );
    const backend = await world.frameBackend((connection) => {
      connection.settings({});
      if (answers) {
        void connection.first(1, FrameType.HEADERS).then(() => connection.headers(1, RESPONSE_HEADERS));
      }
      connected(connection);
    });
    destinations.push({ conn: world.dial(backend.port) });
  }
  return { connections, destinations };
}

const CANCELS = [
  'resets with CANCEL',
  'resets with NO_ERROR',
  'resets with INTERNAL_ERROR',
  'closes',
  'vanishes',
] as const;

for (const cancel of CANCELS) {
  for (const state of [
    'uploading',
    'half-closed',
    'uploading, headers received',
    'half-closed, headers received',
  ] as const) {
    // node:http2 hides it until the response is sent; RFC 9113 gives a client no reason for it.
    if (cancel === 'resets with NO_ERROR' && state.startsWith('half-closed')) continue;
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
      client.headers(1, REQUEST_HEADERS);
      client.data(1, MESSAGE, state.startsWith('half-closed'));
      const all = await Promise.all(connections);
      for (const connection of all) await connection.first(1, FrameType.DATA);
      if (state.endsWith('received')) await client.first(1, FrameType.HEADERS);
      if (state.startsWith('half-closed'))
        for (const connection of all) await connection.until(() => halfClosed(connection));
      if (cancel === 'resets with CANCEL') client.reset(1, 8);
      else if (cancel === 'resets with NO_ERROR') client.reset(1, 0);
      else if (cancel === 'resets with INTERNAL_ERROR') client.reset(1, 2);
      else if (cancel === 'closes') client.socket.end();
      else client.socket.resetAndDestroy();
      for (const connection of all) {
        t.equal(resetCode(await connection.first(1, FrameType.RST_STREAM)), 8);
        t.equal(halfClosed(connection), state.startsWith('half-closed'));
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
    t.equal(resetCode(await connection.first(1, FrameType.RST_STREAM)), 8);
    t.equal(halfClosed(connection), false);
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
        },
      },
    ],
  }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  t.match(told, [{ code: Code.DEADLINE_EXCEEDED }]);
  t.equal(resetCode(await (await connections[0]!).first(1, FrameType.RST_STREAM)), 8);
});

behaviour("the call option's deadline ends the call", async (t, world) => {
  const { connections, destinations } = await silentBackends(world, 1, true);
  const proxy = await world.proxy(() => ({
    primary: destinations[0]!,
    callOptions: { deadline: new Date(Date.now() + 500) },
  }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '4');
  t.equal(resetCode(await (await connections[0]!).first(1, FrameType.RST_STREAM)), 8);
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
  t.equal(resetCode(await connection.first(1, FrameType.RST_STREAM)), 8);
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
  client.headers(1, REQUEST_HEADERS);
  await asking;
  client.reset(1, 8);
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
  client.headers(1, REQUEST_HEADERS);
  await asking;
  client.reset(1, 8);
  t.match(await outcome, { code: Code.CANCELLED });
  // The next call finds the connection, and the cancelled one leaves no trace on it.
  client.headers(3, REQUEST_HEADERS, true);
  while (backend.connections[0] === undefined) await new Promise(setImmediate);
  const [connection] = backend.connections;
  connection.settings({});
  await connection.first(1, FrameType.HEADERS);
  connection.headers(1, RESPONSE_HEADERS);
  connection.headers(1, { 'grpc-status': '0' }, true);
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
    const dying = await world.frameBackend((connection) => {
      connection.settings({});
      void connection.first(1, FrameType.DATA).then(() => {
        if (death === 'reset') connection.reset(1, 2);
        else if (death === 'connection') connection.destroy();
        else connection.headers(1, { ...RESPONSE_HEADERS, 'grpc-status': '8' }, true);
      });
    });
    let died!: () => void;
    const dead = new Promise<void>((resolve) => {
      died = resolve;
    });
    const [primary, other, third] = [...ports, dying.port].map((port) => world.dial(port));
    const proxy = await world.proxy(() => ({
      primary: { conn: primary! },
      secondaries: [{ conn: third!, errHandler: () => died() }, { conn: other! }],
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
  let connection!: FrameConnection;
  // It never opens its window of 64 KiB.
  const stuck = await world.frameBackend((one) => {
    connection = one;
    one.settings({});
  });
  const [conn, other] = [world.dial(backend.port), world.dial(stuck.port)];
  const proxy = await world.proxy(() => ({
    primary: { conn },
    secondaries: [{ conn: other, errHandler: () => {} }],
  }));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  const body = encodeMessage(Buffer.alloc(4 * 1024 * 1024, 7));
  stream.end(body);
  await new Promise<void>((resolve) => stream.once('ready', resolve));
  while (connection === undefined) await new Promise(setImmediate);
  const bytes = () => connection.of(1, FrameType.DATA).reduce((sum, { payload }) => sum + payload.length, 0);
  await connection.until(() => bytes() === 65_535);
  t.equal(received.length, 0);
  connection.reset(1, 2);
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
  t.ok(received[0]?.equals(body));
});

function halfClosed(connection: FrameConnection): boolean {
  return connection.of(1).some(({ type, flags }) => type <= FrameType.HEADERS && (flags & END_STREAM) !== 0);
}
