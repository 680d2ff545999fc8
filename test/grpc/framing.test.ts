import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { encodeMessage, FramingError, type Message, MessageParser } from '../../lib/grpc/framing.js';
import { MessageScanner } from '../../lib/grpc/scanner.js';
import { Code } from '../../lib/grpc/status.js';
import { cut } from '../support/chunks.js';

const message = fc.record(
  {
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    compressed: fc.boolean(),
  },
  { noNullPrototype: true },
);
const messages = fc.array(message, { maxLength: 12 });
const sizes = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 30 });

function wire(list: readonly Message[]): Buffer {
  return Buffer.concat(list.map(({ payload, compressed }) => encodeMessage(payload, compressed)));
}

interface Outcome {
  readonly messages: readonly Message[];
  readonly error?: unknown;
}

function parse(chunks: readonly Buffer[], maxMessageBytes?: number): Outcome {
  const received: Message[] = [];
  const parser = new MessageParser(
    (payload, compressed) => received.push({ payload, compressed }),
    maxMessageBytes,
  );
  try {
    for (const chunk of chunks) parser.push(chunk);
    parser.end();
    return { messages: received };
  } catch (error) {
    return { messages: received, error };
  }
}

function thrownBy(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

t.test('any messages cut into any chunks come out the same', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(messages, sizes, (list, lengths) => {
        assert.deepEqual(parse(cut(wire(list), lengths)), { messages: list });
      }),
    ),
  );
});

t.test('messages that come byte by byte come out the same', async (t) => {
  const list = [
    { payload: Buffer.alloc(0), compressed: false },
    { payload: Buffer.from('first'), compressed: true },
    { payload: Buffer.alloc(0), compressed: true },
  ];
  t.strictSame(parse(cut(wire(list), [1])), { messages: list });
});

t.test('a message is given out with its last byte, also an empty one', async (t) => {
  const received: string[] = [];
  const parser = new MessageParser((payload) => received.push(payload.toString()));
  parser.push(Buffer.from([0, 0, 0, 0]));
  t.strictSame(received, []);
  parser.push(Buffer.from([0]));
  t.strictSame(received, ['']);
});

t.test('large and small pieces of one message are joined in order', async (t) => {
  const payload = Buffer.alloc(200_000, 0);
  for (let i = 0; i < payload.length; i++) payload[i] = (i * 31) % 251;
  const chunks = cut(encodeMessage(payload), [3, 5000, 1, 1, 4096, 4095, 20_000, 7]);
  const outcome = parse(chunks);
  t.equal(outcome.error, undefined);
  t.ok(outcome.messages[0]?.payload.equals(payload));
});

t.test('a message inside one chunk is a slice of it', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(messages, (list) => {
        const chunk = wire(list);
        const { messages: received } = parse([chunk]);
        assert.equal(received.length, list.length);
        for (const { payload } of received) assert.equal(payload.buffer, chunk.buffer);
      }),
    ),
  );
});

t.test('scanner and parser agree on any bytes', async (t) => {
  const bytes = fc.oneof(
    messages.map(wire),
    fc.uint8Array({ maxLength: 100 }).map((raw) => Buffer.from(raw)),
    fc.tuple(messages.map(wire), fc.uint8Array({ maxLength: 9 })).map((parts) => Buffer.concat(parts)),
    // Prefixes near the limit, which random bytes seldom are.
    fc.array(fc.constantFrom(0, 0, 0, 0, 1, 2, 9, 255), { maxLength: 60 }).map((raw) => Buffer.from(raw)),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(bytes, sizes, fc.integer({ min: 0, max: 300 }), (input, lengths, limit) => {
        const chunks = cut(input, lengths);
        const outcome = parse(chunks, limit);
        const scanner = new MessageScanner(limit);
        const error = thrownBy(() => {
          for (const chunk of chunks) scanner.push(chunk);
          scanner.end();
        });
        assert.equal(scanner.messages, outcome.messages.length);
        if (outcome.error === undefined) {
          assert.equal(error, undefined);
          assert.ok(scanner.atBoundary);
          return;
        }
        // Nothing but a FramingError, whatever the bytes.
        assert.ok(outcome.error instanceof FramingError);
        assert.ok(error instanceof FramingError);
        assert.equal(error.message, outcome.error.message);
        assert.equal(error.code, outcome.error.code);
      }),
    ),
  );
});

t.test('a declared 4 GiB allocates nothing', async (t) => {
  const prefix = Buffer.from([0, 255, 255, 255, 255]);
  const bit = Buffer.from('bit');
  const unlimited = Array.from({ length: 100 }, () => new MessageParser(() => {}, Number.POSITIVE_INFINITY));
  const before = process.memoryUsage();
  for (const parser of unlimited) parser.push(prefix);
  const declared = process.memoryUsage();
  for (const parser of unlimited) parser.push(bit);
  const begun = process.memoryUsage();
  t.ok(declared.arrayBuffers <= before.arrayBuffers, 'nothing before they do');
  t.ok(begun.arrayBuffers - before.arrayBuffers <= 100 * 32 * 1024, 'bounded once bytes come');

  const received: Buffer[] = [];
  const limited = new MessageParser((payload) => received.push(payload));
  t.throws(() => limited.push(prefix), {
    code: Code.RESOURCE_EXHAUSTED,
    message: 'message of 4294967295 bytes is over the limit of 4194304 bytes',
  });
  t.equal(received.length, 0);
});

t.test('a message in a million tiny chunks takes memory and time in proportion to its bytes', async (t) => {
  const length = 1_000_000;
  let received = 0;
  const parser = new MessageParser((payload) => {
    received = payload.length;
  });
  const prefix = encodeMessage(Buffer.alloc(length)).subarray(0, 5);
  const slab = Buffer.alloc(64 * 1024);
  parser.push(prefix);
  const before = process.memoryUsage();
  const started = performance.now();
  for (let i = 0; i < length - 1; i++) parser.push(slab.subarray(i % 1000, (i % 1000) + 1));
  const after = process.memoryUsage();
  parser.push(Buffer.alloc(1));
  t.equal(received, length);
  const buffers = after.arrayBuffers - before.arrayBuffers;
  t.ok(buffers < 1.5 * length, `buffers grew by ${buffers} bytes`);
  // Garbage counts here, too, but a Buffer object kept for each byte would take 100 MB.
  const heap = after.heapUsed - before.heapUsed;
  t.ok(heap < 50_000_000, `heap grew by ${heap} bytes`);
  t.ok(performance.now() - started < 20_000, 'not quadratic');
});

t.test('large and tiny chunks in turn do not waste the room for tiny ones', async (t) => {
  const large = Buffer.alloc(4096);
  const tiny = Buffer.alloc(1);
  const parser = new MessageParser(() => {}, Number.POSITIVE_INFINITY);
  parser.push(Buffer.from([0, 255, 255, 255, 255]));
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 1000; i++) {
    parser.push(large);
    parser.push(tiny);
  }
  const grown = process.memoryUsage().arrayBuffers - before;
  t.ok(grown <= 64 * 1024, `grew by ${grown} bytes`);
});

t.test('a limit is met exactly', async (t) => {
  t.equal(parse([encodeMessage(Buffer.alloc(10))], 10).error, undefined);
  t.match(parse([encodeMessage(Buffer.alloc(11))], 10).error, {
    name: 'FramingError',
    code: Code.RESOURCE_EXHAUSTED,
    message: 'message of 11 bytes is over the limit of 10 bytes',
  });
  t.match(parse([encodeMessage(Buffer.alloc(1))], 0).error, { code: Code.RESOURCE_EXHAUSTED });
});

t.test('a flag other than 0 and 1 is INTERNAL at once', async (t) => {
  const parser = new MessageParser(() => {});
  t.throws(() => parser.push(Buffer.from([2])), {
    code: Code.INTERNAL,
    message: 'compressed flag of a message must be 0 or 1, not 2',
  });
});

t.test('an end inside a message is INTERNAL and tells where', async (t) => {
  t.match(parse([Buffer.from([0, 0])]).error, {
    code: Code.INTERNAL,
    message: "stream ended inside a message's prefix, after 2 of its 5 bytes",
  });
  t.match(parse([encodeMessage(Buffer.alloc(7)).subarray(0, 9)]).error, {
    code: Code.INTERNAL,
    message: 'stream ended inside a message, after 4 of its 7 bytes',
  });
  t.match(parse([encodeMessage(Buffer.alloc(7)).subarray(0, 5)]).error, {
    message: 'stream ended inside a message, after 0 of its 7 bytes',
  });
});

t.test('after an error every later call throws the same', async (t) => {
  const failures: [string, (parser: MessageParser) => void][] = [
    ['flag', (parser) => parser.push(Buffer.from([7]))],
    ['limit', (parser) => parser.push(Buffer.from([0, 1, 0, 0, 0]))],
    [
      'end',
      (parser) => {
        parser.push(Buffer.from([0, 0, 0, 0, 9, 1]));
        parser.end();
      },
    ],
  ];
  for (const [name, fail] of failures) {
    const parser = new MessageParser(() => t.fail('no message'));
    const first = thrownBy(() => fail(parser));
    t.type(first, FramingError, name);
    t.equal(
      thrownBy(() => parser.push(encodeMessage(Buffer.from('ok')))),
      first,
    );
    t.equal(
      thrownBy(() => parser.push(Buffer.alloc(0))),
      first,
    );
    t.equal(
      thrownBy(() => parser.end()),
      first,
    );
  }
});

t.test('an error of onMessage ends the parser', async (t) => {
  let calls = 0;
  const own = new Error('own');
  const parser = new MessageParser(() => {
    calls++;
    throw own;
  });
  const two = Buffer.concat([encodeMessage(Buffer.from('a')), encodeMessage(Buffer.from('b'))]);
  t.equal(
    thrownBy(() => parser.push(two)),
    own,
  );
  t.equal(
    thrownBy(() => parser.push(two)),
    own,
  );
  t.equal(
    thrownBy(() => parser.end()),
    own,
  );
  t.equal(calls, 1);
});

t.test('a payload longer than a prefix can say is refused', async (t) => {
  const payload = Object.defineProperty(new Uint8Array(0), 'length', { value: 2 ** 32 });
  t.throws(() => encodeMessage(payload), RangeError);
});
