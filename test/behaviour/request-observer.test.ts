import type { OutgoingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import {
  type CallOutcome,
  Code,
  encodeMessage,
  type RequestObserver,
  type StatusError,
  type StreamParameters,
} from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { respond } from '../support/http2-backend.js';
import { MIB, wire } from '../support/peeking.js';
import { ProcessEvents } from '../support/process-events.js';
import { METHOD, ok, status } from '../support/unary.js';

/** An observer that notes what it sees. */
class Notes implements RequestObserver {
  readonly messages: string[] = [];
  readonly ends: (StatusError | undefined)[] = [];

  onMessage(payload: Buffer, compressed: boolean): void {
    this.messages.push(compressed ? `${payload.length} bytes` : String(payload));
  }

  onEnd(error: StatusError | undefined): void {
    this.ends.push(error);
  }
}

/** A proxy whose calls are observed so, and outcomes that tell what was counted. */
async function observing(
  world: World,
  requestObserver: RequestObserver,
  given: Omit<Partial<StreamParameters>, 'requestObserver'> & { readonly peeks?: number } = {},
) {
  const outcomes: CallOutcome[] = [];
  const backend = await world.http2Backend(async ({ stream, body, headers }) => {
    if (headers[':path'] !== '/test.Service/Early') await body();
    if (!stream.destroyed && headers[':path'] !== '/test.Service/Silent') respond(stream);
  });
  const conn = world.dial(backend.port);
  const { peeks, ...parameters } = given;
  const { port } = await world.proxy(
    async (_ctx, _method, peeker) => {
      if (peeks !== undefined) await peeker.peek(peeks);
      return { primary: { conn }, requestObserver, ...parameters };
    },
    { observer: { onCall: (outcome) => void outcomes.push(outcome) } },
  );
  return { client: world.http2Client(port), outcomes };
}

behaviour('a request observer sees each message and the end, peeked at or not', async (t, world) => {
  const zipped = gzipSync('hello');
  const body = Buffer.concat([wire('one', '', 'three'), encodeMessage(zipped, true)]);
  for (const peeks of [undefined, 1, 9]) {
    const notes = new Notes();
    const { client } = await observing(world, notes, { peeks });
    const stream = client.open(METHOD, { 'grpc-encoding': 'gzip' }).resume();
    // However it is cut.
    for (const octet of body.subarray(0, 12))
      await new Promise((resolve) => stream.write(Buffer.of(octet), resolve));
    stream.end(body.subarray(12));
    await new Promise((resolve) => stream.on('close', resolve));
    t.strictSame(notes.messages, ['one', '', 'three', `${zipped.length} bytes`]);
    t.strictSame(notes.ends, [undefined]);
  }
});

behaviour('it sees what the client sent, where a destination gets another message', async (t, world) => {
  const notes = new Notes();
  const received: Buffer[] = [];
  const backend = await world.http2Backend(async ({ stream, body }) => {
    received.push((await body()).data);
    respond(stream);
  });
  const primary = { conn: world.dial(backend.port), msg: Buffer.from('replaced') };
  const { client } = await observing(world, notes, { primary });
  t.equal(status(await client.call(METHOD, wire('one', 'two'))), '0');
  t.strictSame(notes.messages, ['one', 'two']);
  t.strictSame(received, [wire('replaced', 'two')]);
});

behaviour('the end says why a request has not come to it', async (t, world) => {
  const cases: readonly (readonly [string, OutgoingHttpHeaders, Code, string])[] = [
    ['Early', {}, Code.CANCELLED, 'the call has ended'],
    ['Silent', { 'grpc-timeout': '50m' }, Code.DEADLINE_EXCEEDED, 'the deadline of the call has passed'],
  ];
  for (const [name, fields, code, message] of cases) {
    const notes = new Notes();
    const { client } = await observing(world, notes);
    const stream = client.open(`/test.Service/${name}`, fields).resume();
    stream.write(wire('one'));
    await eventually('it has ended', () => notes.ends.length > 0);
    t.strictSame([notes.messages, notes.ends.length], [['one'], 1]);
    t.match(notes.ends[0], { code, message });
    stream.close();
  }
  const notes = new Notes();
  const { client } = await observing(world, notes);
  const response = await client.call(METHOD, wire('one').subarray(0, 6));
  t.equal(status(response), String(Code.INTERNAL));
  t.strictSame(notes.messages, []);
  t.match(notes.ends, [{ code: Code.INTERNAL, message: /ended inside/ }]);
  const unreachable = world.dial(1);
  const late = new Notes();
  const other = await observing(world, late, { primary: { conn: unreachable } });
  t.equal(status(await other.client.call(METHOD, wire('one'))), String(Code.UNAVAILABLE));
  t.strictSame(late.messages, []);
  t.match(late.ends, [{ code: Code.UNAVAILABLE }]);
});

behaviour(
  'what a request observer throws is a warning, and ends its calls for this request',
  async (t, world) => {
    const events = new ProcessEvents(t);
    const seen: string[] = [];
    const fail = (name: string) => (): never => {
      seen.push(name);
      throw new Error('of the onlooker');
    };
    const observers: readonly RequestObserver[] = [
      { onMessage: fail('message'), onEnd: fail('end') },
      { onEnd: fail('only end') },
      { onMessage: async () => fail('later')() },
      { onMessage: 7 } as unknown as RequestObserver,
      {},
    ];
    for (const observer of observers) {
      const { client } = await observing(world, observer);
      t.equal(status(await client.call(METHOD, wire('one', 'two'))), '0');
    }
    await events.settled();
    t.strictSame(seen, ['message', 'only end', 'later', 'later']);
    t.equal(events.warnings.length, 5);
    t.strictSame(events.fatal, []);
    // What is none at all is the director's mistake.
    const { client } = await observing(world, null as unknown as RequestObserver);
    t.equal(status(await client.call(METHOD, wire('one'))), String(Code.UNKNOWN));
  },
);

behaviour('a message that is put together is charged to its client meanwhile', async (t, world) => {
  const before = heldBytes();
  const notes = new Notes();
  const { client } = await observing(world, notes);
  const stream = client.open(METHOD).resume();
  const body = encodeMessage(Buffer.alloc(4 * MIB, 'a'));
  stream.write(body.subarray(0, 3 * MIB));
  await eventually('what has come of it is held', () => heldBytes() - before >= 3 * MIB);
  stream.end(body.subarray(3 * MIB));
  await new Promise((resolve) => stream.on('close', resolve));
  t.equal(notes.messages[0]?.length, 4 * MIB);
  await eventually('nothing is', () => heldBytes() === before);
});

behaviour(
  'an observer that ends the call by its first message sees the end, and no other',
  async (t, world) => {
    const controller = new AbortController();
    const notes = new Notes();
    const backend = await world.http2Backend(ok);
    const conn = world.dial(backend.port);
    const { port } = await world.proxy(
      () => ({
        primary: { conn },
        requestObserver: {
          onMessage: (payload, compressed) => {
            notes.onMessage(payload, compressed);
            controller.abort();
          },
          onEnd: (error) => notes.onEnd(error),
        },
      }),
      { interceptors: [(stream, next) => next(stream.context.withSignal(controller.signal))] },
    );
    const before = heldBytes();
    const body = Buffer.concat([wire('one', 'two'), wire('torn').subarray(0, 7)]);
    t.equal(status(await world.http2Client(port).call(METHOD, body)), String(Code.CANCELLED));
    t.strictSame(notes.messages, ['one']);
    t.match(notes.ends, [{ code: Code.CANCELLED }]);
    await eventually('nothing is held', () => heldBytes() === before);
  },
);

behaviour('messages that were peeked at, and went nowhere, are counted', async (t, world) => {
  const outcomes: CallOutcome[] = [];
  const observer = { onCall: (outcome: CallOutcome) => void outcomes.push(outcome) };
  const unreachable = world.dial(1);
  const refusing = await world.proxy(
    async (_ctx, method, peeker) => {
      await peeker.peek();
      if (method === METHOD) throw new Error('not here');
      return { primary: { conn: unreachable } };
    },
    { observer },
  );
  const running = deferred();
  const handling = await world.serve({
    observer,
    unknownServiceHandler: async (stream) => {
      await stream.peek();
      running.resolve();
      if (stream.method !== METHOD) return;
      throw new Error('not here');
    },
  });
  const body = wire('one', 'second', '');
  for (const [{ port }, method] of [
    [refusing, METHOD],
    [refusing, '/test.Service/Unreachable'],
    [handling, METHOD],
    [handling, '/test.Service/Ok'],
  ] as const) {
    const client = world.http2Client(port);
    await client.call(method, body);
    await eventually('told', () => outcomes.length === 1);
    const { messagesReceived, bytesReceived } = outcomes.pop()!;
    t.strictSame([messagesReceived, bytesReceived], [3, 9], method);
  }
});
