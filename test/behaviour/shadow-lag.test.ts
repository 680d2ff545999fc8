import type { ClientHttp2Stream } from 'node:http2';
import { Code, type ShadowOutcome } from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { shadowBytes } from '../../lib/proxy/shadow-bytes.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { dataOf, ErrorCode, errorCode, FrameType, settings, windowUpdate } from '../support/frame.js';
import type { OnRequest } from '../support/http2-backend.js';
import { collectResponse } from '../support/http2-client.js';
import {
  answer,
  answerOn,
  listening,
  messageOf,
  rawShadow,
  requestOn,
  shadowed,
  wasCancelled,
} from '../support/shadowed.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';
import { Victim } from '../support/victim.js';

const MIB = 1024 * 1024;
const KIB = 1024;
const LARGE = messageOf(8 * MIB);
/** The most that comes at a time. */
const CHUNK = 64 * KIB;

/** Writes it all, piece by piece, as the other side takes it; the most that was held for shadows meanwhile. */
async function upload(stream: ClientHttp2Stream, body: Buffer): Promise<number> {
  let most = 0;
  for (let start = 0; start < body.length; start += CHUNK) {
    await new Promise<void>((resolve) => stream.write(body.subarray(start, start + CHUNK), () => resolve()));
    most = Math.max(most, shadowBytes());
  }
  stream.end();
  return most;
}

behaviour(
  'a shadow that gives no window is dropped at 1 MiB, by CANCEL, and harms nobody',
  async (t, world) => {
    const { backend, shadow, told } = await rawShadow(world, 0);
    const { client, port, shadows, calls, results } = await shadowed(world, { shadows: [shadow] });
    const victim = new Victim(world, (await shadowed(world, {})).port);
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    const most = await upload(stream, LARGE);
    t.equal(status(await response), '0');
    t.ok(most > 512 * KIB && most <= MIB + CHUNK, `${most} bytes were held`);
    t.same(await results(), ['lagged']);
    const connection = await backend.accept();
    t.ok(await wasCancelled(connection), 'CANCEL, without END_STREAM');
    t.equal(connection.of(1, FrameType.DATA).length, 0);
    t.match(told, [
      { code: Code.RESOURCE_EXHAUSTED, message: / lags: \d+ bytes wait for it, where 1048576 may$/ },
    ]);
    t.match(shadows, [{ failure: { reason: 'limit' } }]);
    t.match(calls, [{ failure: undefined, shadows: [{ result: 'lagged' }] }]);
    t.same(await victim.stop(), []);
    await eventually('nothing is held', () => shadowBytes() === 0 && heldBytes() === 0);
    t.ok(port > 0);
  },
);

behaviour('a shadow that stands still, connection and all, holds nobody back', async (t, world) => {
  const { backend, shadow } = await rawShadow(world, 2 ** 30);
  const { client, results } = await shadowed(world, { shadows: [shadow] });
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  const connection = await backend.accept();
  await requestOn(connection);
  connection.socket.pause();
  const responses = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const stream = client.open(METHOD);
      const response = collectResponse(stream);
      await upload(stream, LARGE);
      return response;
    }),
  );
  for (const response of responses) t.equal(status(response), '0');
  t.same(new Set(await results(4)), new Set(['lagged']));
  t.ok(shadowBytes() <= 4 * 2 * CHUNK, `${shadowBytes()} bytes are held`);
});

behaviour(
  'a shadow that is as fast as the primary never lags, however long a message that was peeked at',
  async (t, world) => {
    const { backend, shadow } = await rawShadow(world, 2 ** 24, { maxLagBytes: 64 * KIB });
    const primary = await world.http2Backend(answer, { settings: { initialWindowSize: 2 ** 24 } });
    const conn = world.dial(primary.port);
    const shadows: string[] = [];
    const proxy = await world.proxy(
      async (_ctx, _method, peeker) => {
        await peeker.peek();
        return { primary: { conn }, shadows: [shadow] };
      },
      { observer: { onShadow: ({ result }) => void shadows.push(result) } },
    );
    const body = messageOf(3 * MIB);
    const client = world.http2Client(proxy.port);
    // A connection that is there already.
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    const connection = await backend.accept();
    await requestOn(connection, 1);
    const call = client.call(METHOD, body);
    t.equal(status(await call), '0');
    await eventually('the shadow has it', () => shadows.length > 0 || connection.hasEnded(3));
    t.same(shadows, []);
    t.ok((await requestOn(connection, 3)).equals(body));
    answerOn(connection, 3);
    answerOn(connection, 1);
    await eventually('both have answered', () => shadows.length === 2);
    t.same(shadows, ['ok', 'ok']);
  },
);

behaviour('a shadow whose window opens in time gets all that has waited', async (t, world) => {
  const { backend, shadow, told } = await rawShadow(world, 10_000);
  const { client, results } = await shadowed(world, { shadows: [shadow] });
  const body = Buffer.concat([messageOf(7), messageOf(400_000), MESSAGE, messageOf(300_000)]);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  await upload(stream, body);
  t.equal(status(await response), '0');
  const connection = await backend.accept();
  await connection.until(() => dataOf(connection.of(1, FrameType.DATA)).length === 10_000);
  t.ok(shadowBytes() >= body.length - 10_000);
  for (let sent = 10_000; sent < body.length; sent += 100_000) {
    connection.send(windowUpdate(1, 100_000));
    await connection.until(
      () => dataOf(connection.of(1, FrameType.DATA)).length >= Math.min(body.length, sent + 100_000),
    );
  }
  t.ok((await requestOn(connection)).equals(body));
  answerOn(connection);
  t.same(await results(), ['ok']);
  t.same(told, []);
  await eventually('nothing is held', () => shadowBytes() === 0);
});

behaviour('a shadow that is still connecting is dropped for its lag, too', async (t, world) => {
  const silent = await world.frameBackend();
  const { shadow, told } = listening({ conn: world.dial(silent.port), maxLagBytes: 100_000 });
  const { client, results, shadows } = await shadowed(world, { shadows: [shadow] });
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  const most = await upload(stream, messageOf(MIB));
  t.equal(status(await response), '0');
  t.ok(most <= 100_000 + CHUNK);
  t.same(await results(), ['lagged']);
  t.equal(shadows[0]!.attempts, 0);
  t.equal(told[0]?.code, Code.RESOURCE_EXHAUSTED);
  const connection = await silent.accept();
  connection.send(settings());
  await connection.roundTrip();
  t.notOk(
    connection.frames.some(({ type }) => type === FrameType.HEADERS),
    'it hears nothing of the call',
  );
});

behaviour(
  'all shadows together: the one that would hold more than the total is dropped',
  async (t, world) => {
    const { backend, shadow, told } = await rawShadow(world, 0);
    const { client, results, shadows } = await shadowed(
      world,
      { shadows: [shadow] },
      { options: { maxShadowBytes: MIB } },
    );
    const uploads = [];
    for (let i = 0; i < 3; i++) {
      const stream = client.open(METHOD);
      void collectResponse(stream);
      await new Promise<void>((resolve) => stream.write(messageOf(400_000), () => resolve()));
      const connection = backend.connections[0] ?? (await backend.accept());
      await connection.first(2 * i + 1, FrameType.HEADERS);
      if (i < 2) await eventually('it waits', () => shadowBytes() >= 400_000 * (i + 1));
      uploads.push(stream);
    }
    t.same(await results(), ['lagged']);
    t.equal(shadows.length, 1);
    const [connection] = backend.connections;
    t.equal(errorCode(await connection!.first(5, FrameType.RST_STREAM)), ErrorCode.CANCEL);
    t.match(told, [
      { code: Code.RESOURCE_EXHAUSTED, message: /bytes are held for all shadows, where 1048576 may be$/ },
    ]);
    await eventually('the others stay within it', () => shadowBytes() <= MIB && shadowBytes() >= 800_000);
    for (const stream of uploads) stream.end();
    connection!.send(windowUpdate(1, MIB), windowUpdate(3, MIB));
    for (const id of [1, 3]) t.equal((await requestOn(connection!, id)).length, 400_000);
  },
);

behaviour('what is kept for a retry goes before a shadow does', async (t, world) => {
  const { backend, shadow, told } = await rawShadow(world, 2 ** 24, { maxLagBytes: 10_000 });
  const { client, results } = await shadowed(world, { shadows: [shadow] });
  const stream = client.open(METHOD);
  void collectResponse(stream);
  for (let i = 0; i < 30; i++) {
    await new Promise<void>((resolve) => stream.write(messageOf(1000), () => resolve()));
    const connection = backend.connections[0] ?? (await backend.accept());
    await connection.until(() => dataOf(connection.of(1, FrameType.DATA)).length === 1000 * (i + 1));
  }
  stream.end();
  const [connection] = backend.connections;
  await requestOn(connection!);
  answerOn(connection!);
  t.same(await results(), ['ok']);
  t.same(told, []);
});

behaviour('what a shadow lags by is not charged to its client', async (t, world) => {
  const { backend, shadow } = await rawShadow(world, 0);
  const { client } = await shadowed(world, { shadows: [shadow] });
  const arrived = deferred();
  const stream = client.open(METHOD);
  void collectResponse(stream);
  stream.write(messageOf(500_000), () => arrived.resolve());
  await arrived.promise;
  await eventually('it waits', () => shadowBytes() >= 500_000);
  await eventually('nothing else does', () => heldBytes() <= CHUNK);
  client.destroy();
  const connection = await backend.accept();
  t.ok(await wasCancelled(connection));
  await eventually('nothing is held', () => shadowBytes() === 0);
});

behaviour('9000 octets that come one by one are no lag of 1 MiB', async (t, world) => {
  const { backend, shadow, told } = await rawShadow(world, 0);
  const { client, results } = await shadowed(world, { shadows: [shadow] });
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  const body = messageOf(9000);
  for (const octet of body) {
    await new Promise<void>((resolve) => stream.write(Buffer.from([octet]), () => resolve()));
  }
  stream.end();
  t.equal(status(await response), '0');
  t.same(told, []);
  // What is kept of each chunk for a retry weighs more than an octet.
  t.ok(shadowBytes() <= 128 * body.length, `${shadowBytes()} bytes`);
  const connection = await backend.accept();
  connection.send(windowUpdate(1, body.length));
  t.ok((await requestOn(connection)).equals(body));
  answerOn(connection);
  t.same(await results(), ['ok']);
});

behaviour(
  'calls that are kept for shadows that do not answer are held, and bounded, too',
  async (t, world) => {
    const { backend, shadow } = await rawShadow(world);
    const { client, results, shadows } = await shadowed(
      world,
      { shadows: [shadow] },
      { options: { maxShadowBytes: 200_000 } },
    );
    for (let i = 0; i < 10; i++) {
      // A list of fields counts, too: it is kept with its call.
      t.equal(
        status(await client.call(METHOD, MESSAGE, i === 0 ? { 'x-large': 'x'.repeat(50_000) } : {})),
        '0',
      );
    }
    t.ok(shadowBytes() > 50_000 + 10 * 8000 && shadowBytes() <= 200_000, `${shadowBytes()} bytes`);
    t.equal(shadows.length, 0);
    for (let i = 0; i < 20; i++) t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.ok(shadowBytes() <= 200_000, `${shadowBytes()} bytes`);
    t.ok(shadows.length > 0 && shadows.length < 20);
    t.same(new Set(await results()), new Set(['lagged']));
    const dropped = shadows.length;
    const [connection] = backend.connections;
    for (let id = 1; id < 60; id += 2) {
      await connection!.until(() => connection!.hasEnded(id));
      if (connection!.of(id, FrameType.RST_STREAM).length === 0) answerOn(connection!, id);
    }
    await eventually('all have ended', () => shadows.length === 30);
    t.equal(shadows.filter(({ result }) => result === 'ok').length, 30 - dropped);
    await eventually('nothing is held', () => shadowBytes() === 0);
  },
);

/** A call whose request is peeked at before it goes on, to a shadow that takes none of it. */
async function peekedAt(world: World, primary: OnRequest, window: number, more: object = {}) {
  const { shadow, told } = await rawShadow(world, 0, more);
  const main = await world.http2Backend(primary, { settings: { initialWindowSize: window } });
  const conn = world.dial(main.port);
  const ended: ShadowOutcome[] = [];
  const { port } = await world.proxy(
    async (_ctx, method, peeker) => {
      await peeker.peek(method === METHOD ? 1 : 2);
      return { primary: { conn }, shadows: [shadow] };
    },
    { observer: { onShadow: (outcome) => void ended.push(outcome) } },
  );
  return { told, ended, client: world.http2Client(port) };
}

/** Its director peeks until the client has half-closed. */
const WHOLE = '/test.Service/Whole';

behaviour('a shadow is dropped for its lag once the primary has room for more', async (t, world) => {
  const { told, ended, client } = await peekedAt(world, ({ stream }) => void stream.resume(), 2 ** 24);
  const stream = client.open(METHOD);
  void collectResponse(stream);
  stream.write(messageOf(3 * MIB));
  await eventually('it has been dropped', () => ended.length === 1);
  t.match(ended, [{ result: 'lagged' }]);
  t.match(told, [{ code: Code.RESOURCE_EXHAUSTED }]);
});

behaviour('a shadow is dropped for its lag once the primary answers', async (t, world) => {
  const go = deferred();
  const { told, ended, client } = await peekedAt(
    world,
    async ({ stream, body }) => {
      await body();
      await go.promise;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    },
    2 ** 24,
  );
  const stream = client.open(WHOLE);
  void collectResponse(stream);
  stream.end(messageOf(3 * MIB));
  await eventually('the shadow has its part', () => shadowBytes() >= 3 * MIB);
  t.same(told, []);
  go.resolve();
  await eventually('it has been dropped', () => ended.length === 1);
  t.match(ended, [{ result: 'lagged' }]);
});

behaviour(
  'a shadow that lags by too much when its client goes does not outlive the call',
  async (t, world) => {
    const arrived = deferred();
    const { told, ended, client } = await peekedAt(world, () => arrived.resolve(), 1000, {
      maxLagBytes: 100_000,
    });
    const stream = client.open(WHOLE, {}, true);
    void collectResponse(stream);
    stream.on('wantTrailers', () => stream.sendTrailers({}));
    stream.end(messageOf(MIB));
    await arrived.promise;
    await eventually('the shadow has its part', () => shadowBytes() >= MIB);
    t.same(told, [], 'the primary has not taken it either');
    stream.close(ErrorCode.CANCEL);
    await eventually('it has been dropped', () => ended.length === 1);
    t.match(ended, [{ result: 'lagged' }]);
    await eventually('nothing is held', () => shadowBytes() === 0);
  },
);
