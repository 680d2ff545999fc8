import { AsyncLocalStorage } from 'node:async_hooks';
import { Code, encodeMessage, type ResponseObserver } from '../../lib/index.js';
import { shadowBytes } from '../../lib/proxy/shadow-bytes.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE } from '../support/fields.js';
import {
  data,
  dataOf,
  END,
  ErrorCode,
  FrameType,
  headers,
  resetStream,
  Setting,
  settings,
} from '../support/frame.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';
import { ProcessEvents } from '../support/process-events.js';
import {
  answer,
  answerOn,
  listening,
  messageOf,
  rawShadow,
  requestOn,
  shadowed,
} from '../support/shadowed.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';
import { within } from '../support/within.js';

behaviour(
  'a shadow gets the whole request; its answer goes to its observer, and nowhere else',
  async (t, world) => {
    const seen: string[] = [];
    const observer: ResponseObserver = {
      onHeaders: (metadata) => void seen.push(`headers ${metadata.get('x-from')}`),
      onMessage: (payload) => void seen.push(`message ${payload}`),
      onStatus: (error, trailers) => void seen.push(`status ${error?.code} ${trailers.get('x-end')}`),
    };
    const bodies: Buffer[] = [];
    const backend = await world.http2Backend(async ({ stream, headers, body }) => {
      bodies.push((await body()).data);
      t.equal(headers['x-of'], 'the client');
      respond(
        stream,
        encodeMessage(Buffer.from('shadow')),
        { 'grpc-status': '0', 'x-end': 'e' },
        { 'x-from': 's' },
      );
    });
    const conn = world.dial(backend.port);
    const { client, calls, shadows, results } = await shadowed(world, { shadows: [{ conn, observer }] });
    const body = Buffer.concat([MESSAGE, messageOf(100_000), MESSAGE]);
    const response = await client.call(METHOD, body, { 'x-of': 'the client' });
    t.equal(status(response), '0');
    t.same(response.data, MESSAGE);
    t.same(await results(), ['ok']);
    t.ok(bodies[0]?.equals(body));
    t.same(seen, ['headers s', 'message shadow', 'status undefined e']);
    const target = `127.0.0.1:${backend.port}`;
    t.match(shadows, [
      { role: 'shadow', target, attempts: 1, failure: undefined, method: METHOD, context: calls[0]!.context },
    ]);
    t.equal(calls[0]!.destinations.length, 1);
    t.match(calls[0]!.shadows, [{ role: 'shadow', target, attempts: 1, failure: undefined }]);
  },
);

behaviour('a shadow has its own message, metadata and deadline', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, headers, body }) => {
    const { data } = await body();
    t.ok(data.equals(Buffer.concat([encodeMessage(Buffer.from('instead')), MESSAGE])));
    t.equal(headers['x-shadow'], 'yes');
    t.match(headers['grpc-timeout'], /^\d+[um]$/);
    respond(stream);
  });
  const conn = world.dial(backend.port);
  const primary = await world.http2Backend(answer);
  const to = world.dial(primary.port);
  const ended = deferred<string>();
  const proxy = await world.proxy(
    (ctx) => {
      const own = ctx.metadata.clone();
      own.set('x-shadow', 'yes');
      const msg = Buffer.from('instead');
      return {
        primary: { conn: to },
        shadows: [{ conn, msg, ctx: ctx.withMetadata(own).withTimeout(9000) }],
      };
    },
    { observer: { onShadow: ({ result }) => ended.resolve(result) } },
  );
  const client = world.http2Client(proxy.port);
  t.equal(status(await client.call(METHOD, Buffer.concat([MESSAGE, MESSAGE]))), '0');
  t.equal(await ended.promise, 'ok');
});

behaviour('a shadow that fails, in whatever way, is told its error handler alone', async (t, world) => {
  const failing = await world.frameBackend((connection) => {
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 24]));
    void (async () => {
      for (let id = 1; ; id += 2) {
        await connection.until(() => connection.hasEnded(id));
        const answers: Buffer[][] = [
          [headers(id, [...RESPONSE, 'grpc-status', '5', 'grpc-message', 'none'], END)],
          [resetStream(id, ErrorCode.INTERNAL_ERROR)],
          [headers(id, RESPONSE), data(id, MESSAGE.subarray(0, 7)), headers(id, ['grpc-status', '0'], END)],
          [headers(id, [':status', '502', 'content-type', 'text/html'], END)],
          [headers(id, RESPONSE), headers(id, ['x-no', 'status'], END)],
        ];
        connection.send(...answers[(id - 1) / 2]!);
      }
    })().catch(() => {});
  });
  const gone = await world.http2Backend(() => {});
  gone.destroy();
  const { shadow, told } = listening({ conn: world.dial(failing.port) });
  const lost = listening({ conn: world.dial(gone.port) });
  const { client, shadows, calls, results } = await shadowed(world, { shadows: [shadow, lost.shadow] });
  for (let i = 1; i <= 5; i++) {
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    await results(2 * i);
  }
  t.same(
    told.map(({ code }) => code),
    [Code.NOT_FOUND, Code.INTERNAL, Code.INTERNAL, Code.UNAVAILABLE, Code.UNKNOWN],
  );
  t.same(
    lost.told.map(({ code }) => code),
    Array(5).fill(Code.UNAVAILABLE),
  );
  t.same(new Set(shadows.map(({ result }) => result)), new Set(['error']));
  t.ok(calls.every(({ failure }) => failure === undefined));
});

behaviour('a shadow that is connecting holds nobody up, and gets all once it is there', async (t, world) => {
  const backend = await world.frameBackend();
  const { client, calls, results } = await shadowed(world, {
    shadows: [{ conn: world.dial(backend.port) }],
  });
  const body = Buffer.concat([MESSAGE, messageOf(50_000)]);
  t.equal(status(await client.call(METHOD, body)), '0');
  t.match(calls[0]!.shadows, [{ result: 'running', attempts: 0 }]);
  t.ok(shadowBytes() >= body.length);
  const connection = await backend.accept();
  connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]));
  t.ok((await requestOn(connection)).equals(body));
  answerOn(connection);
  t.same(await results(), ['ok']);
  await eventually('nothing is held', () => shadowBytes() === 0);
});

behaviour('a shadow that is refused is tried again, with the same bytes', async (t, world) => {
  const { backend, shadow, told } = await rawShadow(world);
  const { client, shadows, results } = await shadowed(world, { shadows: [shadow] });
  const body = Buffer.concat([MESSAGE, messageOf(20_000)]);
  t.equal(status(await client.call(METHOD, body)), '0');
  const first = await backend.accept();
  await requestOn(first);
  first.send(resetStream(1, ErrorCode.REFUSED_STREAM));
  const second = await backend.accept();
  t.ok((await requestOn(second)).equals(body));
  answerOn(second);
  t.same(await results(), ['ok']);
  t.equal(shadows[0]!.attempts, 2);
  t.same(told, []);
});

behaviour('a shadow that is refused while the client sends gets all of it again', async (t, world) => {
  const { backend, shadow } = await rawShadow(world);
  const { client, results } = await shadowed(world, { shadows: [shadow] });
  const body = Buffer.concat([MESSAGE, messageOf(200_000)]);
  const stream = client.open(METHOD);
  stream.resume();
  stream.write(body.subarray(0, 10_000));
  const first = await backend.accept();
  await first.until(() => dataOf(first.of(1, FrameType.DATA)).length === 10_000);
  first.send(resetStream(1, ErrorCode.REFUSED_STREAM));
  stream.end(body.subarray(10_000));
  const second = await backend.accept();
  t.ok((await requestOn(second)).equals(body));
  answerOn(second);
  t.same(await results(), ['ok']);
});

behaviour('the finalizer does not wait for shadows, and sees no failure of theirs', async (t, world) => {
  const { backend, shadow } = await rawShadow(world);
  const finalized = deferred<unknown>();
  const { client, results, shadows } = await shadowed(world, {
    shadows: [shadow],
    requestFinalizer: (error) => finalized.resolve(error),
  });
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  t.equal(await within(2000, 'the finalizer', finalized.promise), undefined);
  t.equal(shadows.length, 0);
  const connection = await backend.accept();
  await requestOn(connection);
  connection.send(resetStream(1, ErrorCode.CANCEL));
  t.same(await results(), ['error']);
});

behaviour('a primary that cannot be opened: shadows are told, and cancelled', async (t, world) => {
  const gone = await world.http2Backend(() => {});
  gone.destroy();
  const conn = world.dial(gone.port);
  const { shadow, told } = await rawShadow(world);
  const { client, results, calls } = await shadowed(world, {
    shadows: [shadow],
    ...{ primary: { conn } },
  });
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
  t.same(await results(), ['cancelled']);
  t.match(told, [{ code: Code.UNAVAILABLE, message: /^initiate primary stream: / }]);
  t.match(calls[0]!.shadows, [{ result: 'cancelled', failure: { reason: 'backend_connect' } }]);
});

behaviour('what a shadow’s handlers throw is a warning, in the scope of the call', async (t, world) => {
  const events = new ProcessEvents(t);
  const scope = new AsyncLocalStorage<string>();
  const { backend, shadow } = await rawShadow(world);
  const heard: (string | undefined)[] = [];
  const fail = (): never => {
    heard.push(scope.getStore());
    throw new Error('oops');
  };
  const observer: ResponseObserver = { onHeaders: fail };
  const primary = await world.http2Backend(answer);
  const conn = world.dial(primary.port);
  const { port } = await world.proxy(
    () => ({ primary: { conn }, shadows: [{ ...shadow, observer, errHandler: fail }] }),
    { observer: { onShadow: fail }, interceptors: [(_stream, next) => scope.run('the call', next)] },
  );
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(status(response), '0');
  t.equal(fieldValue(response.headers, ':status'), '200');
  const connection = await backend.accept();
  await requestOn(connection);
  connection.send(headers(1, RESPONSE), resetStream(1, ErrorCode.INTERNAL_ERROR));
  await eventually('all were called', () => heard.length === 3);
  await events.settled();
  t.same(heard, Array(3).fill('the call'));
  t.same(events.warnings, Array(3).fill('oops'));
  t.same(events.fatal, []);
});

behaviour('the observer of the server hears of a shadow in the scope of its call', async (t, world) => {
  const scope = new AsyncLocalStorage<string>();
  const { backend, shadow } = await rawShadow(world);
  const heard: (string | undefined)[] = [];
  const primary = await world.http2Backend(answer);
  const conn = world.dial(primary.port);
  const { port } = await world.proxy(() => ({ primary: { conn }, shadows: [{ conn: shadow.conn }] }), {
    observer: { onShadow: () => void heard.push(scope.getStore()) },
    interceptors: [(stream, next) => scope.run(stream.method, next)],
  });
  const client = world.http2Client(port);
  for (const method of ['/test.Service/First', '/test.Service/Second']) {
    t.equal(status(await client.call(method, MESSAGE)), '0');
  }
  const connection = await backend.accept();
  for (const id of [3, 1]) {
    await requestOn(connection, id);
    answerOn(connection, id);
    await eventually('it has ended', () => heard.length === (id === 3 ? 1 : 2));
  }
  t.same(heard, ['/test.Service/Second', '/test.Service/First']);
});
