import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import {
  type CallOutcome,
  Code,
  encodeMessage,
  type PeekOptions,
  type StreamPeeker,
  transparentHandler,
} from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import { data, Flag, FrameType, headers } from '../support/frame.js';
import { fieldValue } from '../support/http2-client.js';
import { METHOD, MIB, peeking, rejection, text, wire } from '../support/peeking.js';
import { ProcessEvents } from '../support/process-events.js';
import { ok, status } from '../support/unary.js';

const END = Flag.END_STREAM;

behaviour('after a peek the end is known that came along, as that of a unary call', async (t, world) => {
  const seen: unknown[] = [];
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(async (_ctx, _method, peeker) => {
    const before = peeker.ended;
    const first = text(await peeker.peek());
    const after = peeker.ended;
    // Where the end is known, this waits for nothing.
    const all = after ? text(await peeker.peek(3)) : undefined;
    seen.push([before, first, after, all]);
    return { primary: { conn } };
  });
  const raw = await world.frameClient(port);
  const requests: readonly Buffer[][] = [
    [data(1, wire('one'), END)],
    [data(3, wire('one')), data(3, Buffer.alloc(0), END)],
    [data(5, wire('one').subarray(0, 6)), data(5, wire('one').subarray(6), END)],
    [data(7, wire('one')), headers(7, ['x-trailer', 'yes'], END | Flag.END_HEADERS)],
    [data(9, wire('one', 'two'), END)],
    [data(11, wire('one'))],
  ];
  for (const [i, frames] of requests.entries()) {
    const id = 2 * i + 1;
    raw.send(headers(id, requestTo(METHOD)), ...frames);
    await eventually('it has been looked at', () => seen.length === i + 1);
  }
  raw.send(headers(13, requestTo(METHOD), END | Flag.END_HEADERS));
  await eventually('the last has been looked at', () => seen.length === 7);
  t.strictSame(seen, [
    [false, ['one'], true, ['one']],
    [false, ['one'], true, ['one']],
    [false, ['one'], true, ['one']],
    [false, ['one'], true, ['one']],
    [false, ['one'], true, ['one', 'two']],
    [false, ['one'], false, undefined],
    [true, [], true, []],
  ]);
  await raw.first(9, FrameType.DATA);
});

behaviour('an end that comes later is known then', async (t, world) => {
  const peekers: StreamPeeker[] = [];
  const peeked = deferred();
  const { client, received } = await peeking(world, async (peeker) => {
    peekers.push(peeker);
    await peeker.peek();
    t.equal(peeker.ended, false);
    peeked.resolve();
    t.strictSame(text(await peeker.peek(2)), ['one']);
    t.equal(peeker.ended, true);
  });
  const stream = client.open(METHOD).resume();
  stream.write(wire('one'));
  await peeked.promise;
  stream.end();
  await new Promise((resolve) => stream.on('close', resolve));
  t.same(received, [wire('one')]);
  t.equal(peekers[0]?.ended, true);
});

behaviour('a peek is given up by its signal, and the call goes on', async (t, world) => {
  const events = new ProcessEvents(t);
  const { signal, abort } = abortable();
  const waiting = deferred();
  const results: unknown[] = [];
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(
    async (_ctx, _method, peeker) => {
      const first = await peeker.peek(1, { signal });
      results.push(text(first), getEventListeners(signal, 'abort').length);
      const [given, other] = [peeker.peek(2, { signal }), peeker.peek(3)];
      results.push(getEventListeners(signal, 'abort').length);
      waiting.resolve();
      results.push(await rejection(given), getEventListeners(signal, 'abort').length);
      results.push(await rejection(peeker.peek(1, { signal })), peeker.ended);
      results.push(text(await peeker.peek()), text(await other));
      return { primary: { conn } };
    },
    {},
    // What has been given up has no time to be over any more.
    { peekTimeoutMilliseconds: 60_000 },
  );
  const stream = world.http2Client(port).open(METHOD).resume();
  stream.write(wire('one'));
  await waiting.promise;
  abort('enough');
  await turn();
  stream.end(wire('two', 'three'));
  const trailers = await new Promise((resolve) => stream.on('trailers', resolve));
  t.match(trailers, { 'grpc-status': '0' });
  t.strictSame(results, [
    ...[['one'], 0],
    ...[1, 'enough', 0],
    ...['enough', false],
    ...[['one'], ['one', 'two', 'three']],
  ]);
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour('a peek that is given up does not end by its timeout, nor stalls the call', async (t, world) => {
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  let timers = 0;
  const { port } = await world.proxy(
    async (_ctx, _method, peeker) => {
      const before = timeouts();
      const { signal, abort } = abortable();
      const peek = rejection(peeker.peek(1, { signal }));
      const during = timeouts();
      abort(new Error('enough'));
      t.match(await peek, { message: 'enough' });
      timers = during - before;
      t.equal(timeouts(), before);
      return { primary: { conn } };
    },
    {},
    { peekTimeoutMilliseconds: 60_000 },
  );
  const response = await world.http2Client(port).call(METHOD, wire('one', 'two'));
  t.equal(status(response), '0');
  t.equal(timers, 1);
});

behaviour(
  'what is no signal is a TypeError, and a peek that inflates hears of one, too',
  async (t, world) => {
    const errors: unknown[] = [];
    const { client, received } = await peeking(world, async (peeker) => {
      for (const signal of [null, 7, {}, new EventTarget()]) {
        errors.push(await rejection(peeker.peek(1, { signal } as PeekOptions)));
      }
      const { signal, abort } = abortable();
      const inflating = rejection(peeker.peek(1, { signal }));
      // There, but not inflated before the next turn.
      await peeker.peek(1, { inflate: false });
      abort('enough');
      t.equal(await inflating, 'enough');
      t.equal(getEventListeners(signal, 'abort').length, 0);
      t.equal((await peeker.peek())[0]?.payload.length, MIB);
    });
    const body = encodeMessage(gzipSync(Buffer.alloc(MIB)), true);
    await client.call(METHOD, body, { 'grpc-encoding': 'gzip' });
    t.equal(errors.length, 4);
    for (const error of errors) t.ok(error instanceof TypeError);
    t.same(received, [body]);
  },
);

behaviour('what cannot be inflated says what to do, and whose fault it is', async (t, world) => {
  const outcomes: CallOutcome[] = [];
  const { port } = await world.serve({
    unknownServiceHandler: transparentHandler(async (_ctx, _method, peeker) => {
      await peeker.peek();
      throw new Error('not rejected');
    }),
    observer: { onCall: (outcome) => void outcomes.push(outcome) },
  });
  const client = world.http2Client(port);
  const cases: readonly (readonly [Buffer, string, Code, RegExp, string])[] = [
    [Buffer.from('x'), 'snappy', Code.UNIMPLEMENTED, /"snappy".* not supported/, 'rejected'],
    [Buffer.from('x'), 'gzip', Code.INTERNAL, /not valid gzip/, 'client_protocol'],
    [gzipSync(Buffer.alloc(8 * MIB)), 'gzip', Code.RESOURCE_EXHAUSTED, /the peek limit of 4194304/, 'limit'],
  ];
  for (const [payload, encoding, code, message, reason] of cases) {
    const response = await client.call(METHOD, encodeMessage(payload, true), { 'grpc-encoding': encoding });
    t.equal(status(response), String(code));
    const told = decodeURIComponent(fieldValue(response.headers, 'grpc-message') ?? '');
    t.match(told, message);
    t.match(told, /a peek with \{ inflate: false \} gives messages as they came/);
    const outcome = outcomes.pop();
    t.strictSame([outcome?.failure?.reason, outcome?.messagesReceived], [reason, 1]);
  }
});

behaviour(
  'inflated messages are made once, and charged until the director has answered',
  async (t, world) => {
    const before = heldBytes();
    const held: number[] = [];
    const { client } = await peeking(world, async (peeker) => {
      const peeks = await Promise.all([peeker.peek(2), peeker.peek(1), peeker.peek(2)]);
      const [first] = peeks;
      for (const peek of peeks) t.equal(peek[0], first[0], 'the same one');
      t.strictSame(
        peeks.map((peek) => peek.map(({ payload }) => payload.length)),
        [[MIB, 4], [MIB], [MIB, 4]],
      );
      held.push(heldBytes() - before);
    });
    const body = Buffer.concat([encodeMessage(gzipSync(Buffer.alloc(MIB)), true), wire('more')]);
    await client.call(METHOD, body, { 'grpc-encoding': 'gzip' });
    t.ok(held[0]! >= MIB + body.length, `${held} bytes`);
    await eventually('all is released', () => heldBytes() === before);
  },
);

behaviour(
  'a peek that is asked for by options that are none is rejected, and says which',
  async (t, world) => {
    const told: unknown[] = [];
    const { client, received } = await peeking(world, async (peeker) => {
      for (const options of [null, 5, { inflates: false }, { inflate: 'no' }]) {
        told.push(await rejection(peeker.peek(1, options as unknown as PeekOptions)));
      }
    });
    t.equal(status(await client.call(METHOD, wire('message'))), '0', 'the call goes on');
    t.same(received, [wire('message')]);
    t.strictSame(
      told.map((error) => (error as Error).message),
      [
        'options must be an object, not null',
        'options must be an object, not number',
        'there is no option options.inflates (did you mean inflate?)',
        'options.inflate must be true or false, not string',
      ],
    );
  },
);

function abortable(): { signal: AbortSignal; abort(reason: unknown): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}

function timeouts(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
}
