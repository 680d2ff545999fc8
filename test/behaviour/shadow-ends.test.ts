import { once } from 'node:events';
import http2 from 'node:http2';
import { Code } from '../../lib/index.js';
import { shadowBytes } from '../../lib/proxy/shadow-bytes.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { ErrorCode, FrameType, windowUpdate } from '../support/frame.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import {
  answerOn,
  complete,
  incomplete,
  messageOf,
  rawShadow,
  requestOn,
  shadowed,
  silent,
  wasCancelled,
} from '../support/shadowed.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';
import { within } from '../support/within.js';

const { NGHTTP2_CANCEL } = http2.constants;
const KIB = 1024;

behaviour(
  'the call ends and the request was complete: the shadow gets the rest, and may answer',
  async (t, world) => {
    const { backend, shadow, told } = await rawShadow(world, 1000);
    const { client, calls, shadows, results } = await shadowed(world, { shadows: [shadow] });
    const body = messageOf(300 * KIB);
    t.equal(status(await client.call(METHOD, body)), '0');
    t.match(calls, [{ shadows: [{ result: 'running', attempts: 1 }] }]);
    const connection = await backend.accept();
    t.notOk(connection.hasEnded(1));
    // The client goes, too.
    client.destroy();
    connection.send(windowUpdate(1, body.length));
    t.ok((await requestOn(connection)).equals(body));
    t.equal(shadows.length, 0);
    answerOn(connection);
    t.same(await results(), ['ok']);
    t.same(told, []);
    await eventually('nothing is held', () => shadowBytes() === 0);
  },
);

behaviour('a shadow that has not answered when its grace is over is cut by CANCEL', async (t, world) => {
  const { connection, response, told, results, shadows } = await complete(world, { graceMilliseconds: 30 });
  t.equal(status(await response), '0');
  t.same(await results(), ['expired']);
  t.equal(await connection.resetCode(1), ErrorCode.CANCEL);
  t.match(told, [
    { code: Code.DEADLINE_EXCEEDED, message: /has not answered within 30 ms of the call's end$/ },
  ]);
  t.match(shadows, [{ failure: { reason: 'deadline' } }]);
});

behaviour('a shadow that could not be sent all of it in its grace gets no END_STREAM', async (t, world) => {
  const { backend, shadow } = await rawShadow(world, 1000, { graceMilliseconds: 30 });
  const { client, results } = await shadowed(world, { shadows: [shadow] });
  t.equal(status(await client.call(METHOD, messageOf(100 * KIB))), '0');
  t.ok(await wasCancelled(await backend.accept()));
  t.same(await results(), ['expired']);
  await eventually('nothing is held', () => shadowBytes() === 0);
});

behaviour('the client cancels a complete request: the shadow may answer', async (t, world) => {
  const { connection, stream, calls, results } = await complete(world, {}, silent);
  stream.close(NGHTTP2_CANCEL);
  await eventually('the call has ended', () => calls.length === 1);
  t.match(calls, [{ failure: { reason: 'client_cancelled' }, shadows: [{ result: 'running' }] }]);
  await connection.roundTrip();
  t.equal(connection.of(1, FrameType.RST_STREAM).length, 0);
  answerOn(connection);
  t.same(await results(), ['ok']);
});

behaviour('the client cancels a request that is not complete: CANCEL, never END_STREAM', async (t, world) => {
  const { connection, stream, told, results, shadows } = await incomplete(world);
  stream.close(NGHTTP2_CANCEL);
  t.ok(await wasCancelled(connection));
  t.same(await results(), ['cancelled']);
  t.match(shadows, [{ failure: { reason: 'client_cancelled' } }]);
  t.same(told, []);
});

behaviour('the client disconnects: CANCEL, never END_STREAM', async (t, world) => {
  const { connection, client, results, shadows } = await incomplete(world);
  client.session.destroy();
  t.ok(await wasCancelled(connection));
  t.same(await results(), ['cancelled']);
  t.match(shadows, [{ failure: { reason: /^client_/ } }]);
});

behaviour('the client ends inside of a message: CANCEL, never END_STREAM', async (t, world) => {
  const { connection, stream, results, shadows } = await incomplete(world);
  stream.on('wantTrailers', () => stream.sendTrailers({}));
  stream.end(MESSAGE.subarray(0, 8));
  t.ok(await wasCancelled(connection));
  t.same(await results(), ['cancelled']);
  t.match(shadows, [{ failure: { reason: 'client_protocol' } }]);
});

behaviour('the primary answers early: CANCEL, never END_STREAM', async (t, world) => {
  const go = deferred();
  const { connection, response, results, calls } = await incomplete(world, async ({ stream }) => {
    await go.promise;
    respond(stream, MESSAGE);
  });
  go.resolve();
  t.equal(status(await response), '0');
  t.ok(await wasCancelled(connection));
  t.same(await results(), ['cancelled']);
  t.match(calls, [{ failure: undefined, shadows: [{ result: 'cancelled' }] }]);
});

behaviour('the primary fails: a complete request goes on, another is cancelled', async (t, world) => {
  const go = deferred();
  const failing: OnRequest = async ({ stream }) => {
    await go.promise;
    respond(stream, undefined, { 'grpc-status': '5' });
  };
  const whole = await complete(world, {}, failing);
  const half = await incomplete(world, failing);
  go.resolve();
  t.equal(status(await whole.response), '5');
  t.equal(status(await half.response), '5');
  t.ok(await wasCancelled(half.connection));
  t.same(await half.results(), ['cancelled']);
  answerOn(whole.connection);
  t.same(await whole.results(), ['ok']);
});

behaviour("a shadow's own signal cancels it, also after the call", async (t, world) => {
  const { backend, shadow } = await rawShadow(world);
  const controller = new AbortController();
  const primary = await world.http2Backend(({ stream }) => respond(stream, MESSAGE));
  const conn = world.dial(primary.port);
  const ended = deferred<string>();
  const { port } = await world.proxy(
    (ctx) => ({
      primary: { conn },
      shadows: [{ ...shadow, ctx: ctx.withSignal(controller.signal) }],
    }),
    { observer: { onShadow: ({ result }) => ended.resolve(result) } },
  );
  t.equal(status(await world.http2Client(port).call(METHOD, MESSAGE)), '0');
  const connection = await backend.accept();
  await requestOn(connection);
  controller.abort();
  t.equal(await connection.resetCode(1), ErrorCode.CANCEL);
  t.equal(await ended.promise, 'cancelled');
});

behaviour('close() waits for shadows that go on', async (t, world) => {
  const { server, connection, response, results, shadows } = await complete(world);
  t.equal(status(await response), '0');
  let hasClosed = false;
  const closed = server.close().then(() => {
    hasClosed = true;
  });
  await connection.roundTrip();
  await new Promise(setImmediate);
  t.notOk(hasClosed);
  t.equal(shadows.length, 0);
  answerOn(connection);
  t.same(await results(), ['ok']);
  await within(3000, 'close()', closed);
});

behaviour('close() waits for shadows of calls that were begun before it was heard of', async (t, world) => {
  const { server, client, connection, response, results } = await complete(world);
  t.equal(status(await response), '0');
  answerOn(connection);
  t.same(await results(), ['ok']);
  // No call runs, and no shadow.
  let hasClosed = false;
  const closed = server.close().then(() => {
    hasClosed = true;
  });
  const gone = once(client.session, 'close');
  const late = await client.call(METHOD, MESSAGE);
  // On node:http2 it is refused.
  if (world.transports.server === 'frames') {
    t.equal(status(late), '0');
    await requestOn(connection, 3);
    await gone;
    await connection.roundTrip();
    await new Promise(setImmediate);
    t.notOk(hasClosed);
    answerOn(connection, 3);
    t.same(await results(2), ['ok', 'ok']);
  }
  await within(3000, 'close()', closed);
});

behaviour('close() waits for shadows no longer than their grace', async (t, world) => {
  const { server, response, results } = await complete(world, { graceMilliseconds: 50 });
  t.equal(status(await response), '0');
  await within(3000, 'close()', server.close());
  t.same(await results(), ['expired']);
});

behaviour(
  'the timeout of close() cuts shadows, of calls that have ended and of those that run',
  async (t, world) => {
    const ended = await complete(world);
    t.equal(status(await ended.response), '0');
    const running = await complete(world, {}, silent);
    for (const { server, connection, results, shadows } of [ended, running]) {
      await within(3000, 'close()', server.close({ timeoutMilliseconds: 30 }));
      t.equal(await connection.resetCode(1), ErrorCode.CANCEL);
      t.same(await results(), ['cancelled']);
      t.match(shadows, [{ failure: { reason: 'draining' } }]);
    }
    t.equal(status(await running.response), '14');
  },
);

behaviour('destroy() ends shadows, of calls that have ended and of those that run', async (t, world) => {
  const ended = await complete(world);
  t.equal(status(await ended.response), '0');
  const running = await complete(world, {}, silent);
  for (const { server, connection, results } of [ended, running]) {
    server.destroy();
    t.equal(await connection.resetCode(1), ErrorCode.CANCEL);
    t.same(await results(), ['cancelled']);
  }
});

behaviour('a connection to a shadow is closed once the last of them has ended', async (t, world) => {
  const { shadow, connection, response, results } = await complete(world);
  t.equal(status(await response), '0');
  const { conn } = shadow;
  if (!('target' in conn)) throw new Error('not a ClientConn');
  const closed = conn.close();
  await connection.roundTrip();
  answerOn(connection);
  t.same(await results(), ['ok']);
  await within(3000, 'close()', Promise.resolve(closed));
});
