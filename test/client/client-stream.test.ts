import { getEventListeners } from 'node:events';
import { deflateSync, gzipSync } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import {
  type CallStatus,
  type ClientStream,
  type ClientStreamOptions,
  Code,
  encodeMessage,
  Metadata,
  StatusError,
} from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  FrameType,
  headers,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { type BidiCall, echo, failWith } from '../support/grpc-backend.js';
import { untyped } from '../support/hostile-values.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';
import { METHOD } from '../support/unary.js';
import { within } from '../support/within.js';

const MIB = 1024 * 1024;

/** A test of calls that this process makes itself, on both transports. */
function callsTest(name: string, run: (t: Test, world: World) => Promise<void>): void {
  for (const client of ['http2', 'frames'] as const) {
    t.test(`${name} [${client}]`, (t) => run(t, new World(t, { server: 'http2', client })));
  }
}

/** All that is left to come. */
async function collect(call: ClientStream): Promise<{ messages: string[]; error: unknown }> {
  const messages: string[] = [];
  try {
    for await (const message of call) messages.push(`${message}`);
    return { messages, error: undefined };
  } catch (error) {
    return { messages, error };
  }
}

async function backendOf(world: World, handler: (call: BidiCall) => void) {
  const backend = await world.grpcBackend({ [METHOD]: handler });
  const conn = world.dial(backend.port);
  return { conn, call: (options?: ClientStreamOptions) => conn.call(METHOD, options) };
}

/** A backend that answers each call in the same way, frame by frame. */
async function framesOf(world: World, answer: (connection: FramePeer) => void | Promise<void>) {
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]), windowUpdate(0, 2 ** 20));
    await connection.first(1, FrameType.HEADERS);
    await answer(connection);
  });
  const conn = world.dial(backend.port);
  return { backend, conn, call: (options?: ClientStreamOptions) => conn.call(METHOD, options) };
}

callsTest('one message each way, with metadata, headers and trailers', async (t, world) => {
  let received!: grpc.Metadata;
  const { call } = await backendOf(world, (call) => {
    received = call.metadata;
    const first = new grpc.Metadata();
    first.set('x-first', 'a');
    call.sendMetadata(first);
    call.on('data', (message: Buffer) => call.write(Buffer.concat([message, message])));
    call.on('end', () => {
      const last = new grpc.Metadata();
      last.set('x-last-bin', Buffer.from([0, 255]));
      call.end(last);
    });
  });
  const metadata = { 'x-own': ['b', 'c'], 'x-own-bin': Buffer.from([1, 2, 254]) };
  const own = call({ metadata });
  t.equal(own.method, METHOD);
  await own.send(Buffer.from('one'));
  own.end();
  t.strictSame(await collect(own), { messages: ['oneone'], error: undefined });
  t.equal((await own.headers).get('x-first'), 'a');
  const { code, message, trailers } = await own.status;
  t.strictSame([code, message], [Code.OK, '']);
  t.strictSame(trailers.get('x-last-bin'), Buffer.from([0, 255]));
  t.strictSame(received.get('x-own'), ['b, c']);
  t.strictSame(received.get('x-own-bin'), [Buffer.from([1, 2, 254])]);
  t.equal(heldBytes(), 0);
});

callsTest('messages go both ways in turn', async (t, world) => {
  const { call } = await backendOf(world, echo);
  const own = call();
  const messages = own[Symbol.asyncIterator]();
  for (let i = 0; i < 20; i++) {
    await own.send(Buffer.from(`message ${i}`));
    const { value } = await messages.next();
    t.equal(`${value}`, `message ${i}`);
  }
  await own.send(Buffer.alloc(0));
  t.strictSame(await messages.next(), { done: false, value: Buffer.alloc(0) });
  own.end();
  own.end();
  t.strictSame(await messages.next(), { done: true, value: undefined });
  t.strictSame(await messages.next(), { done: true, value: undefined });
});

callsTest(
  'what is sent before there is a connection goes first, in order, and then the end',
  async (t, world) => {
    const { call } = await backendOf(world, echo);
    const own = call();
    for (const text of ['a', 'b', 'c']) void own.send(Buffer.from(text));
    own.end();
    t.strictSame((await collect(own)).messages, ['a', 'b', 'c']);
  },
);

callsTest('what the request says of itself on the wire', async (t, world) => {
  const lists: string[][] = [];
  const backend = await world.frameBackend(async (connection) => {
    connection.send(settings());
    for (const id of [1, 3, 5]) {
      lists.push(await connection.nextHeaders(id));
      connection.send(headers(id, [...RESPONSE, ...TRAILERS], END));
    }
  });
  const conn = world.dial(backend.port);
  await conn.call(METHOD).status;
  const [plain] = lists;
  t.strictSame(plain, [
    ...[':method', 'POST'],
    ...[':scheme', 'http'],
    ...[':path', METHOD],
    ...[':authority', `127.0.0.1:${backend.port}`],
    ...['te', 'trailers'],
    ...['content-type', 'application/grpc'],
    ...['user-agent', 'grpc-frame-proxy'],
    ...['grpc-accept-encoding', 'identity,deflate,gzip'],
  ]);
  const options = {
    metadata: new Metadata({ 'user-agent': 'mine', 'x-own': 'a' }),
    authority: 'other:1',
    timeoutMilliseconds: 60_000,
    deadline: Date.now() + 100_000,
  };
  await conn.call('/a.B/C', options).status;
  const own = lists[1]!;
  t.equal(fieldValue(own, 'user-agent'), 'mine');
  t.equal(own.filter((name) => name === 'user-agent').length, 1);
  t.equal(fieldValue(own, ':authority'), 'other:1');
  t.equal(fieldValue(own, ':path'), '/a.B/C');
  t.match(fieldValue(own, 'grpc-timeout'), /^5\d{7}u$/, 'the earlier of the two');
  await conn.call(METHOD, { timeoutMilliseconds: Infinity, deadline: Infinity }).status;
  t.equal(fieldValue(lists[2], 'grpc-timeout'), undefined);
});

callsTest('a failure comes behind the messages, and is the status', async (t, world) => {
  const { call } = await backendOf(world, (call) => {
    call.write(Buffer.from('one'));
    call.write(Buffer.from('two'));
    const metadata = new grpc.Metadata();
    metadata.set('x-why', 'because');
    failWith(grpc.status.ABORTED, 'no more', metadata)(call);
  });
  const own = call();
  const { messages, error } = await collect(own);
  t.strictSame(messages, ['one', 'two']);
  t.equal(error, await own.status);
  t.ok(error instanceof StatusError);
  t.match(error, { code: Code.ABORTED, message: 'no more' });
  t.equal((error as StatusError).trailers.get('x-why'), 'because');
  await own.headers;
  await t.rejects(own.send(Buffer.from('late')), { code: Code.ABORTED });
  t.strictSame((await collect(own)).error, error, 'and again');
});

callsTest('a failure without headers is theirs, too; and nobody need look', async (t, world) => {
  const unhandled: unknown[] = [];
  const listener = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', listener);
  t.teardown(() => process.off('unhandledRejection', listener));
  const { call, conn } = await backendOf(world, failWith(grpc.status.NOT_FOUND, 'nothing here'));
  const unseen = call();
  for (let i = 0; i < 3; i++) void unseen.send(Buffer.from('unseen'));
  const seen = call();
  void seen.send(Buffer.from('seen'));
  await t.rejects(seen.headers, { code: Code.NOT_FOUND, message: 'nothing here' });
  t.match(await seen.status, { code: Code.NOT_FOUND });
  t.match(await unseen.status, { code: Code.NOT_FOUND });
  const cancelled = call();
  void cancelled.send(Buffer.from('x'));
  cancelled.cancel();
  await conn.close();
  const late = conn.call(METHOD);
  void late.send(Buffer.from('x'));
  t.match(await late.status, { code: Code.UNAVAILABLE, message: /closed/ });
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.strictSame(unhandled, []);
});

callsTest('a status that comes without a message needs nobody who reads', async (t, world) => {
  const { call } = await framesOf(world, (connection) => {
    connection.send(headers(1, RESPONSE), headers(1, ['grpc-status', '0', 'x-last', 'a'], END));
  });
  const { code, trailers } = await within(2000, 'the status', call().status);
  t.equal(code, Code.OK);
  t.equal(trailers.get('x-last'), 'a');
});

callsTest('the status comes to who has taken the last message and asks for no more', async (t, world) => {
  const arrived = deferred();
  const { call } = await framesOf(world, async (connection) => {
    const messages = ['one', 'two'].map((text) => encodeMessage(Buffer.from(text)));
    connection.send(headers(1, RESPONSE), data(1, Buffer.concat(messages)));
    connection.send(headers(1, TRAILERS, END));
    await connection.roundTrip();
    arrived.resolve();
  });
  const own = call();
  await own.headers;
  await arrived.promise;
  const messages = own[Symbol.asyncIterator]();
  t.equal(`${(await messages.next()).value}`, 'one');
  t.equal(`${(await messages.next()).value}`, 'two');
  t.equal((await within(2000, 'the status', own.status)).code, Code.OK);
});

callsTest(
  'what is sent before there is a connection waits for room, too, or for the end',
  async (t, world) => {
    const backend = await world.frameBackend((connection) => connection.send(settings()));
    const own = world.dial(backend.port).call(METHOD);
    let isSent = false;
    const sending = own.send(Buffer.alloc(MIB)).then(() => {
      isSent = true;
    });
    const connection = await backend.accept();
    await connection.until(() => connection.of(1, FrameType.DATA).length > 0);
    await connection.roundTrip();
    t.equal(isSent, false);
    connection.send(windowUpdate(0, 2 * MIB), windowUpdate(1, 2 * MIB));
    await sending;
    const blocked = own.send(Buffer.alloc(4 * MIB));
    await connection.roundTrip();
    own.cancel();
    await t.rejects(blocked, { code: Code.CANCELLED });
  },
);

callsTest('a backend is held back while nobody reads', async (t, world) => {
  let sent = 0;
  const chunk = encodeMessage(Buffer.alloc(64 * 1024 - 5, 'x'));
  const total = 1024;
  const backend = await world.http2Backend(({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    const go = (): void => {
      while (sent < total) {
        sent++;
        if (!stream.write(chunk)) {
          stream.once('drain', go);
          return;
        }
      }
      stream.end();
    };
    go();
  });
  const own = world.dial(backend.port).call(METHOD);
  const messages = own[Symbol.asyncIterator]();
  await messages.next();
  let last = -1;
  while (last !== sent) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.ok(sent * chunk.length < 4 * MIB, `${sent} messages were sent`);
  t.ok(heldBytes() < MIB, `${heldBytes()} bytes are held here`);
  let count = 1;
  for (;;) {
    const { done, value } = await messages.next();
    if (done) break;
    count++;
    if (value.length !== chunk.length - 5) t.fail('a message is not whole');
  }
  t.equal(count, total);
  t.equal(heldBytes(), 0);
});

callsTest('who sends is held back while the backend takes nothing', async (t, world) => {
  const reading = deferred();
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await reading.promise;
    const { data } = await body();
    respond(stream, encodeMessage(Buffer.from(String(data.length))));
  });
  const own = world.dial(backend.port).call(METHOD);
  const message = Buffer.alloc(64 * 1024 - 5);
  const total = 256;
  let sent = 0;
  const sending = (async () => {
    for (; sent < total; sent++) await own.send(message);
    own.end();
  })();
  let last = -1;
  while (last !== sent) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.ok(sent * message.length < 4 * MIB, `${sent} messages were taken`);
  reading.resolve();
  await sending;
  t.strictSame((await collect(own)).messages, [String(total * 64 * 1024)]);
});

callsTest('an answer that is complete before the request ends it for who still sends', async (t, world) => {
  const { call } = await backendOf(world, (call) => {
    call.once('data', () => {
      call.write(Buffer.from('enough'));
      call.end();
    });
  });
  const own = call();
  const sending = (async () => {
    for (;;) await own.send(Buffer.alloc(10_000));
  })();
  t.strictSame(await collect(own), { messages: ['enough'], error: undefined });
  await t.rejects(within(2000, 'the end', sending), { message: 'the call has ended' });
  t.equal((await own.status).code, Code.OK);
});

for (const [how, cancel] of [
  ['cancel()', (call: ClientStream) => call.cancel()],
  ['a signal', (_: ClientStream, controller: AbortController) => controller.abort()],
  ['the end of its block', (call: ClientStream) => void call[Symbol.asyncDispose]()],
  [
    'leaving the loop over its messages',
    async (call: ClientStream) => {
      for await (const _ of call) break;
    },
  ],
] as const) {
  callsTest(`${how} cancels: RST_STREAM(CANCEL), and never END_STREAM`, async (t, world) => {
    const controller = new AbortController();
    const { call, backend } = await framesOf(world, (connection) => {
      connection.send(headers(1, RESPONSE), data(1, encodeMessage(Buffer.from('one'))));
    });
    const own = call({ signal: controller.signal });
    await own.send(Buffer.from('half a request'));
    await own.headers;
    await cancel(own, controller);
    t.match(await own.status, { code: Code.CANCELLED });
    await t.rejects(own.send(Buffer.from('late')), { code: Code.CANCELLED });
    t.match((await collect(own)).error, { code: Code.CANCELLED });
    const [connection] = backend.connections;
    t.equal(await connection!.resetCode(1), ErrorCode.CANCEL);
    t.equal(connection!.hasEnded(1), false);
    t.equal(getEventListeners(controller.signal, 'abort').length, 0);
    own.end();
    own.cancel();
    t.equal(heldBytes(), 0);
  });
}

callsTest('of a call that is cancelled before it begins the backend hears nothing', async (t, world) => {
  const { conn, backend } = await framesOf(world, () => {});
  t.match(await conn.call(METHOD, { signal: AbortSignal.abort() }).status, { code: Code.CANCELLED });
  t.match(await conn.call(METHOD, { deadline: Date.now() - 1 }).status, { code: Code.DEADLINE_EXCEEDED });
  t.match(await conn.call(METHOD, { timeoutMilliseconds: -1 }).status, { code: Code.DEADLINE_EXCEEDED });
  const waiting = conn.call(METHOD);
  waiting.cancel();
  t.match(await waiting.status, { code: Code.CANCELLED });
  for (const connection of backend.connections) t.equal(connection.of(1).length, 0);
});

callsTest('a call is over at its deadline, and leaves no timer', async (t, world) => {
  const { call, backend } = await framesOf(world, () => {});
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const own = call({ timeoutMilliseconds: 50 });
  const { error } = await within(2000, 'the deadline', collect(own));
  t.match(error, { code: Code.DEADLINE_EXCEEDED });
  const [connection] = backend.connections;
  t.equal(await connection!.resetCode(1), ErrorCode.CANCEL);
  const long = call({ timeoutMilliseconds: 1e12, deadline: Infinity });
  await connection!.first(3, FrameType.HEADERS);
  long.cancel();
  const endless = call({ timeoutMilliseconds: Infinity });
  endless.cancel();
  await eventually('no timer', () => timers() <= before);
  t.equal(heldBytes(), 0);
});

callsTest('no connection: UNAVAILABLE, or a wait', async (t, world) => {
  const backend = await world.frameBackend();
  const { port } = backend;
  await backend.close();
  const conn = world.dial(port);
  t.match(await conn.call(METHOD).status, { code: Code.UNAVAILABLE, message: /cannot connect/ });
  const own = conn.call(METHOD, { waitForReady: true, timeoutMilliseconds: 100 });
  t.match(await own.status, { code: Code.DEADLINE_EXCEEDED });
});

callsTest('a call is tried again by its policy', async (t, world) => {
  let calls = 0;
  const { call } = await backendOf(world, (call) => {
    if (++calls < 3) failWith(grpc.status.UNAVAILABLE, 'not yet')(call);
    else echo(call);
  });
  const policy = { codes: [Code.UNAVAILABLE], initialBackoff: 1, maxBackoff: 1, multiplier: 1 };
  const own = call({ retry: { maxAttempts: 3, ...policy } });
  for (const text of ['a', 'b']) await own.send(Buffer.from(text));
  own.end();
  t.strictSame(await collect(own), { messages: ['a', 'b'], error: undefined });
  t.equal(calls, 3);
});

callsTest('compressed messages are inflated, within the limit', async (t, world) => {
  const text = 'to be compressed '.repeat(100);
  const cases: readonly (readonly [encoding: string, Buffer, Code | undefined, RegExp?])[] = [
    ['gzip', gzipSync(text), undefined],
    ['deflate', deflateSync(text), undefined],
    ['gzip', Buffer.from('no gzip'), Code.INTERNAL],
    ['zstd', Buffer.from('anything'), Code.INTERNAL, /"zstd" is not supported; supported are identity/],
    ['identity', Buffer.from('anything'), Code.INTERNAL],
    ['gzip', gzipSync(Buffer.alloc(100_000)), Code.RESOURCE_EXHAUSTED],
  ];
  for (const [encoding, payload, code, message = /./] of cases) {
    const { call, backend } = await framesOf(world, (connection) => {
      connection.send(headers(1, [...RESPONSE, 'grpc-encoding', encoding]));
      connection.send(
        data(1, Buffer.concat([encodeMessage(Buffer.from('plain')), encodeMessage(payload, true)])),
      );
      if (code === undefined) connection.send(headers(1, TRAILERS, END));
    });
    const own = call({ maxReceiveMessageBytes: 50_000 });
    const { messages, error } = await collect(own);
    t.strictSame(messages, code === undefined ? ['plain', text] : ['plain'], encoding);
    t.equal((await own.status).code, code ?? Code.OK);
    if (code === undefined) continue;
    t.match(error, { code, message });
    t.equal(await backend.connections[0]!.resetCode(1), ErrorCode.CANCEL);
  }
});

callsTest('a message over the limit ends the call before it is held', async (t, world) => {
  const { call } = await framesOf(world, (connection) => {
    connection.send(headers(1, RESPONSE), data(1, encodeMessage(Buffer.from('short'))));
    connection.send(data(1, Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1])));
  });
  const { messages, error } = await collect(call());
  t.strictSame(messages, ['short']);
  t.match(error, { code: Code.RESOURCE_EXHAUSTED, message: /4294967295 bytes/ });
});

callsTest('an answer that is no gRPC, or is cut off', async (t, world) => {
  const ways: readonly ((connection: FramePeer) => void)[] = [
    (connection) => connection.send(headers(1, [':status', '404', 'content-type', 'text/html'])),
    (connection) => connection.send(headers(1, RESPONSE), data(1, Buffer.from([0, 0, 0, 0, 9, 1]), 1)),
    (connection) => {
      connection.send(headers(1, RESPONSE), data(1, Buffer.from([0, 0, 0, 0, 9, 1])));
      connection.send(headers(1, TRAILERS, END));
    },
    (connection) => void connection.socket.end(),
  ];
  const statuses: CallStatus[] = [];
  for (const way of ways) {
    const { call } = await framesOf(world, way);
    const own = call();
    const { messages, error } = await within(2000, 'the call', collect(own));
    t.strictSame(messages, []);
    statuses.push(await own.status);
    t.equal(error, statuses.at(-1));
  }
  t.strictSame(
    statuses.map(({ code }) => code),
    [Code.UNIMPLEMENTED, Code.INTERNAL, Code.INTERNAL, Code.UNAVAILABLE],
  );
});

callsTest('what is no message, or comes after the end, fails the call and nothing else', async (t, world) => {
  const { call } = await backendOf(world, echo);
  for (const payload of ['text', undefined, null, 7, {}, [1, 2]]) {
    const own = call();
    await t.rejects(own.send(untyped(payload)), { code: Code.INTERNAL, message: /must be bytes/ });
    t.match((await collect(own)).error, { code: Code.INTERNAL });
  }
  const own = call();
  own.end();
  await t.rejects(own.send(Buffer.from('late')), { code: Code.INTERNAL, message: /half-closed/ });
  t.match(await own.status, { code: Code.INTERNAL });
});

callsTest('a second reader is told so, and the first goes on', async (t, world) => {
  const { call } = await backendOf(world, echo);
  const own = call();
  const first = own[Symbol.asyncIterator]().next();
  await t.rejects(own[Symbol.asyncIterator]().next(), { message: /one reader/ });
  await own.send(Buffer.from('a'));
  t.equal(`${(await first).value}`, 'a');
  own.cancel();
});

callsTest('options that are nonsense are refused by name', async (t, world) => {
  const { conn } = await framesOf(world, () => {});
  const nonsense: readonly (readonly [keyof ClientStreamOptions, readonly unknown[], string | RegExp])[] = [
    ['deadline', [NaN, 'soon', {}], 'options.deadline'],
    ['timeoutMilliseconds', [NaN, '7', null, {}], 'options.timeoutMilliseconds'],
    ['signal', [{}, null, 'signal'], 'options.signal'],
    ['authority', ['a b', '', 7, 'a\0b'], 'options.authority'],
    ['maxReceiveMessageBytes', [NaN, -1, '7', null], 'options.maxReceiveMessageBytes'],
    ['metadata', [{ 'a b': 'c' }, { te: 'x' }, { 'grpc-timeout': '1S' }], /metadata|cannot be/],
    ['retry', [null, 7, {}], 'options.retry'],
  ];
  for (const [name, values, text] of nonsense) {
    for (const value of values) t.throws(() => conn.call(METHOD, { [name]: value }), { message: text }, name);
  }
  for (const method of ['', 'service/method', '/', '/a b', '/\u20ac', 7, undefined]) {
    t.throws(() => conn.call(untyped(method)), { name: 'TypeError', message: /method must be/ });
  }
  t.equal(conn.state.name, 'IDLE');
});

callsTest('many calls leave nothing', async (t, world) => {
  const { call } = await backendOf(world, (call) => {
    if (call.metadata.get('x-fail').length > 0) failWith(grpc.status.ABORTED, 'as asked')(call);
    else echo(call);
  });
  const controller = new AbortController();
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const ends = async (i: number): Promise<Code> => {
    const metadata = new Metadata(i % 3 === 0 ? [['x-fail', '1']] : []);
    const own = call({ signal: controller.signal, timeoutMilliseconds: 60_000, metadata });
    void own.send(Buffer.alloc(1000));
    if (i % 3 === 1) own.end();
    const messages = own[Symbol.asyncIterator]();
    if (i % 3 !== 0) await messages.next();
    if (i % 3 === 2) own.cancel();
    return (await own.status).code;
  };
  await ends(1);
  const before = timers();
  const codes = await Promise.all(Array.from({ length: 90 }, (_, i) => ends(i)));
  t.strictSame(new Set(codes), new Set([Code.ABORTED, Code.OK, Code.CANCELLED]));
  t.equal(getEventListeners(controller.signal, 'abort').length, 0);
  await eventually('no timer is left', () => timers() <= before);
  await eventually('nothing is held', () => heldBytes() === 0);
});
