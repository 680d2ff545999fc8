import { gzipSync } from 'node:zlib';
import { Code, encodeMessage, type StreamPeeker, transparentHandler } from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { METHOD, MIB, rejection } from '../support/peeking.js';
import { ok, status } from '../support/unary.js';

// What a message is inflated to is charged to its client as it grows: 4 KiB may become 4 MiB, of each of its calls at once.

const BOMB = encodeMessage(gzipSync(Buffer.alloc(4 * MIB)), true);
const GZIP = { 'grpc-encoding': 'gzip' };
const limits = { maxHeldBytesPerConnection: MIB / 4 };

behaviour(
  'a client is charged for what is in the making, and its call ends over a limit',
  async (t, world) => {
    const before = heldBytes();
    const failures: unknown[] = [];
    const peeking = transparentHandler(async (_ctx, _method, peeker) => {
      failures.push(await rejection(peeker.peek()));
      throw new Error('it goes nowhere');
    });
    for (const [handler, code] of [
      [peeking, Code.RESOURCE_EXHAUSTED],
      [
        async (stream: AsyncIterable<Buffer>) => {
          failures.push(await rejection(stream[Symbol.asyncIterator]().next()));
        },
        Code.RESOURCE_EXHAUSTED,
      ],
    ] as const) {
      const { port } = await world.serve({ unknownServiceHandler: handler, limits });
      const response = await world.http2Client(port).call(METHOD, BOMB, GZIP);
      t.equal(status(response), String(code));
      await eventually('it is rejected', () => failures.length === 1);
      t.match(failures.pop(), { code, message: 'too much of the call waits to be taken' });
      await eventually('nothing is held', () => heldBytes() === before);
    }
  },
);

behaviour('what is being inflated is given up once nobody needs it', async (t, world) => {
  const before = heldBytes();
  const peeked = deferred<Promise<unknown>>();
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(async (_ctx, _method, peeker: StreamPeeker) => {
    const inflating = rejection(peeker.peek());
    // It is there, but not inflated before a later turn.
    await peeker.peek(1, { inflate: false });
    peeked.resolve(inflating);
    return { primary: { conn } };
  });
  t.equal(status(await world.http2Client(port).call(METHOD, BOMB, GZIP)), '0');
  t.match(await await peeked.promise, { code: 'ERR_PEEK_TOO_LATE' });
  t.equal(heldBytes(), before);
});

behaviour('a peek that inflates is rejected when the client cancels', async (t, world) => {
  const before = heldBytes();
  const begun = deferred<Promise<unknown>>();
  const { port } = await world.proxy(async (_ctx, _method, peeker) => {
    const inflating = rejection(peeker.peek());
    await peeker.peek(1, { inflate: false });
    stream.close(8);
    begun.resolve(inflating);
    throw await inflating;
  });
  const stream = world.http2Client(port).open(METHOD, GZIP, true);
  stream.write(encodeMessage(gzipSync(Buffer.alloc(4 * MIB - 100)), true));
  t.match(await await begun.promise, { code: Code.CANCELLED });
  await eventually('nothing is held', () => heldBytes() === before);
});
