import { deflateSync, gzipSync } from 'node:zlib';
import {
  Code,
  encodeMessage,
  InvalidPeekCountError,
  type Message,
  type PeekOptions,
  StatusError,
  type StreamPeeker,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { fieldValue } from '../support/http2-client.js';

import { METHOD, MIB, peeking, rejection, text, wire } from '../support/peeking.js';

behaviour('peek() gives the first message, and the backend still receives it', async (t, world) => {
  const peeked: Message[][] = [];
  const { client, received } = await peeking(world, async (peeker) => peeked.push(await peeker.peek()));
  const body = wire('one', 'two', '', 'four');
  const { headers, trailers } = await client.call(METHOD, body);
  t.equal(fieldValue(trailers ?? headers, 'grpc-status'), '0');
  t.same(peeked, [[{ payload: Buffer.from('one'), compressed: false }]]);
  t.same(received, [body]);
});

behaviour('peek() resolves as soon as the message is complete, not with the call', async (t, world) => {
  const peeked = deferred<Message[]>();
  const { client, received } = await peeking(world, async (peeker) => peeked.resolve(await peeker.peek()));
  const stream = client.open(METHOD);
  stream.write(wire('one'));
  t.same(text(await peeked.promise), ['one'], 'while the client has more to send');
  const closed = new Promise((resolve) => stream.on('close', resolve));
  stream.resume();
  stream.end(wire('two'));
  await closed;
  t.same(received, [wire('one', 'two')]);
});

behaviour('peek(n) gives n messages; peeking again gives the same, and more', async (t, world) => {
  const peeked: string[][] = [];
  const same: boolean[] = [];
  const { client, received } = await peeking(world, async (peeker) => {
    const first = await peeker.peek(2);
    const second = await peeker.peek(2);
    peeked.push(text(first), text(second));
    same.push(first[0]!.payload.equals(second[0]!.payload));
    peeked.push(text(await peeker.peek(1)), text(await peeker.peek(4)), text(await peeker.peek(2)));
    peeked.push(text(first));
  });
  const body = wire('one', 'two', 'three', '', 'five');
  await client.call(METHOD, body);
  t.same(peeked, [
    ['one', 'two'],
    ['one', 'two'],
    ['one'],
    ['one', 'two', 'three', ''],
    ['one', 'two'],
    // What was given out first has not been touched since.
    ['one', 'two'],
  ]);
  t.same(same, [true]);
  t.same(received, [body]);
});

behaviour('peeks side by side are each answered as soon as they can be', async (t, world) => {
  const peeked: string[][] = [];
  const firstAnswered = deferred();
  const { client, received } = await peeking(world, async (peeker) => {
    const three = peeker.peek(3).then((messages) => peeked.push(text(messages)));
    const one = peeker.peek(1).then((messages) => peeked.push(text(messages)));
    await one;
    firstAnswered.resolve();
    await three;
  });
  const stream = client.open(METHOD);
  stream.resume();
  stream.write(wire('one'));
  await firstAnswered.promise;
  t.same(peeked, [['one']], 'one message is enough for the one');
  stream.end(wire('two', 'three', 'four'));
  await new Promise((resolve) => stream.on('close', resolve));
  t.same(peeked, [['one'], ['one', 'two', 'three']]);
  t.same(received, [wire('one', 'two', 'three', 'four')]);
});

behaviour('a count that is no positive integer is an InvalidPeekCountError', async (t, world) => {
  const errors: unknown[] = [];
  const { client, received } = await peeking(world, async (peeker) => {
    for (const count of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
      errors.push(await rejection(peeker.peek(count)));
    }
  });
  await client.call(METHOD, wire('one'));
  t.equal(errors.length, 6);
  for (const error of errors) {
    t.ok(error instanceof InvalidPeekCountError);
    t.match(error, { name: 'InvalidPeekCountError', message: 'peek count must be greater than zero' });
  }
  t.same(received, [wire('one')], 'the call can still be proxied');
});

behaviour('an InvalidPeekCountError that the director lets out is UNKNOWN', async (t, world) => {
  const { client } = await peeking(world, (peeker) => peeker.peek(0));
  const { headers } = await client.call(METHOD, wire('one'));
  t.equal(fieldValue(headers, 'grpc-status'), String(Code.UNKNOWN));
  t.equal(fieldValue(headers, 'grpc-message'), 'peek count must be greater than zero');
});

behaviour('at half-close peek gives the messages that there are', async (t, world) => {
  const peeked: string[][] = [];
  const { client, received } = await peeking(world, async (peeker) => {
    peeked.push(text(await peeker.peek(5)));
    peeked.push(text(await peeker.peek(6)));
    peeked.push(text(await peeker.peek()));
  });
  await client.call(METHOD, wire('one', 'two'));
  t.same(peeked, [['one', 'two'], ['one', 'two'], ['one']]);
  t.same(received, [wire('one', 'two')]);
});

behaviour('a client stream of no messages is peeked as such, and still proxied', async (t, world) => {
  const peeked: Message[][] = [];
  const { client, received } = await peeking(world, async (peeker) => peeked.push(await peeker.peek(2)));
  const { headers, trailers } = await client.call(METHOD, Buffer.alloc(0));
  t.equal(fieldValue(trailers ?? headers, 'grpc-status'), '0');
  // END_STREAM on the HEADERS themselves.
  const stream = client.session.request(
    { ':method': 'POST', ':path': METHOD, 'content-type': 'application/grpc', te: 'trailers' },
    { endStream: true },
  );
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  t.same(peeked, [[], []]);
  t.same(received, [Buffer.alloc(0), Buffer.alloc(0)], 'the backend gets the half-close');
});

const torn: Record<string, Buffer> = {
  'the prefix of the first message': wire('hello').subarray(0, 3),
  'the payload of the first message': wire('hello').subarray(0, 7),
  'the second message': wire('one', 'hello').subarray(0, 12),
};
for (const [name, body] of Object.entries(torn)) {
  behaviour(`a half-close inside ${name} is INTERNAL, and contacts no backend`, async (t, world) => {
    const errors: unknown[] = [];
    const { client, sessions } = await peeking(world, async (peeker) => {
      const error = await rejection(peeker.peek(2));
      errors.push(error);
      throw error;
    });
    const { headers } = await client.call(METHOD, body);
    t.equal(fieldValue(headers, 'grpc-status'), String(Code.INTERNAL));
    t.ok(errors[0] instanceof StatusError);
    t.match(errors[0], { code: Code.INTERNAL, message: /ended inside/ });
    t.equal(sessions.length, 0);
  });
}

behaviour('what is complete can be peeked though the rest is torn', async (t, world) => {
  const peeked: unknown[] = [];
  const { client } = await peeking(world, async (peeker) => {
    peeked.push(await rejection(peeker.peek(2)));
    peeked.push(text(await peeker.peek(1)));
    throw new StatusError(Code.DATA_LOSS, 'half a message');
  });
  const { headers } = await client.call(METHOD, wire('one', 'hello').subarray(0, 12));
  t.equal(fieldValue(headers, 'grpc-status'), String(Code.DATA_LOSS));
  t.match(peeked[0], { code: Code.INTERNAL });
  t.same(peeked[1], ['one']);
});

behaviour('a prefix with a flag other than 0 and 1 is INTERNAL', async (t, world) => {
  const { client, sessions } = await peeking(world, (peeker) => peeker.peek());
  const { headers } = await client.call(METHOD, Buffer.of(2, 0, 0, 0, 0));
  t.equal(fieldValue(headers, 'grpc-status'), String(Code.INTERNAL));
  t.equal(sessions.length, 0);
});

behaviour('a compressed message can be given as it came, with its flag', async (t, world) => {
  const peeked: Message[][] = [];
  const { client, received } = await peeking(world, async (peeker) => {
    // One that inflates, beside it, changes nothing.
    await peeker.peek(2);
    peeked.push(await peeker.peek(2, { inflate: false }));
  });
  const zipped = gzipSync('hello');
  const body = Buffer.concat([encodeMessage(zipped, true), wire('plain')]);
  await client.call(METHOD, body, { 'grpc-encoding': 'gzip' });
  t.same(peeked, [
    [
      { payload: zipped, compressed: true },
      { payload: Buffer.from('plain'), compressed: false },
    ],
  ]);
  t.same(received, [body]);
});

/** What `peek` gives for this body, or is rejected with. */
async function inflating(
  world: World,
  body: Buffer,
  encoding: string | undefined,
  { count = 1, maxPeekBytes, ...options }: PeekOptions & { count?: number; maxPeekBytes?: number } = {},
) {
  let result: unknown;
  const { client, received } = await peeking(
    world,
    async (peeker) => {
      result = await peeker.peek(count, options).catch((error) => error);
    },
    maxPeekBytes,
  );
  await client.call(METHOD, body, encoding === undefined ? {} : { 'grpc-encoding': encoding });
  return { result, received };
}

behaviour('peek inflates, while the backend receives the compressed bytes', async (t, world) => {
  const compressions = { gzip: gzipSync, deflate: deflateSync };
  for (const [encoding, compress] of Object.entries(compressions)) {
    const body = Buffer.concat([encodeMessage(compress('hello'), true), wire('plain')]);
    const { result, received } = await inflating(world, body, encoding, { count: 2 });
    t.same(
      result,
      [
        { payload: Buffer.from('hello'), compressed: false },
        { payload: Buffer.from('plain'), compressed: false },
      ],
      encoding,
    );
    t.same(received, [body]);
  }
});

behaviour('a bomb is RESOURCE_EXHAUSTED, and the call can still be proxied', async (t, world) => {
  const body = encodeMessage(gzipSync(Buffer.alloc(32 * MIB)), true);
  const before = process.memoryUsage().arrayBuffers;
  const { result, received } = await inflating(world, body, 'gzip');
  t.match(result, { code: Code.RESOURCE_EXHAUSTED });
  t.ok(process.memoryUsage().arrayBuffers - before < 16 * MIB, 'inflating stops at the limit');
  t.same(received, [body]);
});

behaviour('bombs that are small one by one have the limit all together', async (t, world) => {
  const message = encodeMessage(gzipSync(Buffer.alloc(6000)), true);
  const { result } = await inflating(world, Buffer.concat([message, message]), 'gzip', {
    count: 2,
    maxPeekBytes: 10_000,
  });
  t.match(result, { code: Code.RESOURCE_EXHAUSTED, message: /peek limit of 10000 bytes/ });
});

behaviour(
  'inflating an unknown encoding is UNIMPLEMENTED, corrupt data or none INTERNAL',
  async (t, world) => {
    const body = encodeMessage(Buffer.from('not compressed'), true);
    t.match((await inflating(world, body, 'snappy')).result, {
      code: Code.UNIMPLEMENTED,
      message: /"snappy"/,
    });
    for (const encoding of ['gzip', 'identity', undefined]) {
      t.match((await inflating(world, body, encoding)).result, { code: Code.INTERNAL }, encoding ?? 'none');
    }
  },
);

behaviour('while the director thinks, flow control holds a pouring client back', async (t, world) => {
  const entered = deferred();
  const think = deferred();
  const { client, received } = await peeking(world, async (peeker) => {
    await peeker.peek();
    entered.resolve();
    await think.promise;
  });
  const block = encodeMessage(Buffer.alloc(MIB, 5));
  const stream = client.open(METHOD);
  stream.resume();
  let written = 0;
  let stalled = deferred();
  let timer = setTimeout(() => {}, 0);
  const pour = (): void => {
    if (written === 50) {
      stream.end();
      return;
    }
    written++;
    clearTimeout(timer);
    timer = setTimeout(() => stalled.resolve(), 100);
    stream.write(block, pour);
  };
  pour();
  await entered.promise;
  await stalled.promise;
  clearTimeout(timer);
  t.ok(written < 8, `${written} of 50 MiB were written when the client stalled`);
  t.same(received, []);
  stalled = deferred();
  think.resolve();
  await new Promise((resolve) => stream.on('close', resolve));
  t.equal(written, 50, 'it goes on when the director has answered');
  t.equal(received[0]?.length, 50 * block.length, 'and nothing is lost');
});

behaviour('a client is held back before anybody peeks', async (t, world) => {
  const entered = deferred();
  const think = deferred();
  const { client, received } = await peeking(world, async () => {
    entered.resolve();
    await think.promise;
  });
  const stream = client.open(METHOD);
  stream.resume();
  let passed = false;
  stream.write(encodeMessage(Buffer.alloc(8 * MIB)), () => {
    passed = true;
  });
  await entered.promise;
  await client.roundTrip();
  t.equal(passed, false, 'more than a window is not taken in');
  think.resolve();
  stream.end();
  await new Promise((resolve) => stream.on('close', resolve));
  t.equal(received[0]?.length, 8 * MIB + 5);
});

behaviour('a peek after the director has answered is an error, and stalls nothing', async (t, world) => {
  const peekers: StreamPeeker[] = [];
  const arrived = deferred();
  const onArrival = () => arrived.resolve();
  const look = async (peeker: StreamPeeker) => {
    peekers.push(peeker);
    await peeker.peek();
  };
  const { client, received } = await peeking(world, look, undefined, onArrival);
  const stream = client.open(METHOD);
  const response = new Promise<Record<string, unknown>>((resolve) => stream.on('trailers', resolve));
  stream.resume();
  await new Promise((resolve) => stream.write(wire('one'), resolve));
  await arrived.promise;
  for (const count of [1, 2]) {
    t.match(await rejection(peekers[0]!.peek(count)), {
      message: /^peek\(\) after the director has answered/,
    });
  }
  stream.end(wire('two'));
  t.equal((await response)['grpc-status'], '0');
  t.same(received, [wire('one', 'two')]);
});

behaviour('a peek that nobody waited for is rejected when the call goes on without', async (t, world) => {
  const rejected = deferred<unknown>();
  const { client, received } = await peeking(world, async (peeker) => {
    void rejection(peeker.peek(3)).then(rejected.resolve);
  });
  const stream = client.open(METHOD);
  stream.resume();
  stream.write(wire('one'));
  t.match(await rejected.promise, { message: /^peek\(\) after the director has answered/ });
  stream.end(wire('two'));
  await new Promise((resolve) => stream.on('close', resolve));
  t.same(received, [wire('one', 'two')]);
});

behaviour('bytes that come one by one are peeked, and forwarded as they are', async (t, world) => {
  const peeked: string[][] = [];
  const { client, received } = await peeking(world, async (peeker) =>
    peeked.push(text(await peeker.peek(2))),
  );
  const body = wire('one', 'two', 'three');
  const stream = client.open(METHOD);
  stream.resume();
  for (const byte of body) await new Promise((resolve) => stream.write(Buffer.of(byte), resolve));
  stream.end();
  await new Promise((resolve) => stream.on('close', resolve));
  t.same(peeked, [['one', 'two']]);
  t.same(received, [body]);
});
