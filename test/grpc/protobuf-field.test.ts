import assert from 'node:assert/strict';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import t from 'tap';
import { protobufInteger, protobufString } from '../../lib/grpc/protobuf-field.js';
import { untyped } from '../support/hostile-values.js';

const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message Outer {
    string name = 1;
    int64 id = 2;
    Inner inner = 3;
    bool flag = 4;
    double ratio = 5;
    fixed32 sum = 6;
    repeated string tags = 7;
    string far = 536870911;
  }
  message Inner { string name = 1; int32 number = 2; Inner inner = 3; }`,
);
const outer = root.lookupType('Outer');

const encode = (message: Record<string, unknown>): Buffer => Buffer.from(outer.encode(message).finish());

const unary = (field: number, text: string): Buffer =>
  Buffer.from([field * 8 + 2, text.length, ...Buffer.from(text)]);

t.test('fields are found among others, at any depth', async (t) => {
  const message = encode({
    name: 'répo',
    id: -9007199254740991,
    inner: { name: 'inner', number: -5, inner: { name: 'innermost', number: 2 ** 31 - 1 } },
    flag: true,
    ratio: 0.5,
    sum: 7,
    tags: ['a', 'b'],
    far: 'away',
  });
  t.equal(protobufString(message, 1), 'répo');
  t.equal(protobufInteger(message, 2), -9007199254740991n);
  t.equal(protobufString(message, 3, 1), 'inner');
  t.equal(protobufInteger(message, 3, 2), -5n);
  t.equal(protobufString(message, 3, 3, 1), 'innermost');
  t.equal(protobufInteger(message, 3, 3, 2), 2147483647n);
  t.equal(protobufInteger(message, 4), 1n);
  t.equal(protobufString(message, 7), 'b');
  t.equal(protobufString(message, 536870911), 'away');
});

t.test('what is not there is the zero of its type', async (t) => {
  for (const message of [Buffer.alloc(0), encode({ ratio: 1, inner: {} })]) {
    t.equal(protobufString(message, 1), '');
    t.equal(protobufString(message, 3, 1), '');
    t.equal(protobufInteger(message, 2), 0n);
  }
});

t.test(
  'of several values the last one counts, and parts of a message are one message, as for a backend',
  async (t) => {
    const twice = Buffer.concat([unary(1, 'first'), unary(1, 'last')]);
    t.equal(protobufString(twice, 1), 'last');
    const parts = Buffer.concat([
      encode({ inner: { name: 'first', number: 1 } }),
      encode({ inner: { number: 2 } }),
    ]);
    t.equal(protobufString(parts, 3, 1), 'first');
    t.equal(protobufInteger(parts, 3, 2), 2n);
  },
);

t.test('a value of another wire type is an unknown field, as for a backend', async (t) => {
  const message = Buffer.concat([unary(1, 'tenant'), Buffer.from([1 * 8, 7])]);
  t.equal(protobufString(message, 1), 'tenant');
  t.equal(protobufInteger(Buffer.concat([Buffer.from([2 * 8, 7]), unary(2, 'x')]), 2), 7n);
  t.equal(protobufString(Buffer.from([3 * 8, 7]), 3, 1), '', 'where a message is looked for');
});

t.test('what a backend would refuse is undefined', async (t) => {
  const refused: Record<string, readonly number[]> = {
    'a tag that does not end': [0x8a],
    'a tag of more than ten bytes': [...Array(10).fill(0x80), 1],
    'field 0': [0x02, 0],
    'a field above the largest': [0x82, 0x80, 0x80, 0x80, 0x10, 0],
    'a length that does not end': [0x0a, 0x80],
    'a length beyond the end': [0x0a, 2, 0x61],
    'a length of 64 bits': [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    'a varint that does not end': [0x10, 0xff],
    'a varint of more than ten bytes': [0x10, ...Array(10).fill(0xff), 1],
    'fixed 64 bits, cut': [0x29, 1, 2, 3],
    'fixed 32 bits, cut': [0x35, 1],
    'a group': [0x0b, 0x0c],
    'wire type 6': [0x0e],
    'wire type 7': [0x0f],
  };
  for (const [name, bytes] of Object.entries(refused)) {
    const message = Buffer.concat([unary(1, 'tenant'), Buffer.from(bytes)]);
    t.equal(protobufString(message, 1), undefined, name);
    t.equal(protobufInteger(message, 2), undefined, name);
    const inner = Buffer.concat([Buffer.from([3 * 8 + 2, bytes.length]), Buffer.from(bytes)]);
    t.equal(protobufString(inner, 3, 1), undefined, `${name}, in a message`);
    t.equal(protobufString(Buffer.concat([inner, unary(1, 'tenant')]), 1), 'tenant', `${name}, elsewhere`);
  }
  t.equal(protobufString(Buffer.from([0x0a, 1, 0xff]), 1), undefined, 'text that is not UTF-8');
  t.equal(protobufString(Buffer.from([0x0a, 3, 0xed, 0xa0, 0x80]), 1), undefined, 'a lone surrogate');
});

t.test('what has no bytes is refused, and not taken for a message without fields', async (t) => {
  const peeked = { payload: Buffer.from([0x10, 1]), compressed: false };
  for (const nonsense of [undefined, null, '', 'text', peeked, [0x10, 1], new ArrayBuffer(2)]) {
    const refused = { code: 'ERR_INVALID_ARG_TYPE', message: /^a message must be a Uint8Array, not / };
    t.throws(() => protobufString(untyped(nonsense), 1), refused);
    t.throws(() => protobufInteger(untyped(nonsense), 2), refused);
  }
});

t.test('a client may send more bits than a type has', async (t) => {
  const sent = protobufInteger(Buffer.from([2 * 8, 0x81, 0x80, 0x80, 0x80, 0x10]), 2)!;
  t.equal(sent, 2n ** 32n + 1n);
  t.equal(BigInt.asIntN(32, sent), 1n, 'which is what a backend reads');
});

t.test('a path is of field numbers', async (t) => {
  for (const path of [[], [0], [-1], [1.5], [Number.NaN], [536870912], [1, 0]]) {
    t.throws(() => protobufString(Buffer.alloc(0), ...path), RangeError);
    t.throws(() => protobufInteger(Buffer.alloc(0), ...path), RangeError);
  }
});

t.test('bytes that are a view of others are read as such', async (t) => {
  const bytes = new Uint8Array([9, 9, ...unary(1, 'view'), 9]);
  t.equal(protobufString(bytes.subarray(2, 8), 1), 'view');
});

t.test('whatever protobufjs writes is read, in parts, too', async (t) => {
  const text = fc.string({ unit: 'grapheme' });
  const inner = fc.record({ name: text, number: fc.integer() }, { requiredKeys: [] });
  const part = fc.record({ name: text, id: fc.maxSafeInteger(), inner }, { requiredKeys: [] });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(part, part, (first, last) => {
        const bytes = Buffer.concat([encode(first), encode(last)]);
        assert.equal(protobufString(bytes, 1), last.name ?? first.name ?? '');
        assert.equal(protobufInteger(bytes, 2), BigInt(last.id ?? first.id ?? 0));
        assert.equal(protobufString(bytes, 3, 1), last.inner?.name ?? first.inner?.name ?? '');
        assert.equal(protobufInteger(bytes, 3, 2), BigInt(last.inner?.number ?? first.inner?.number ?? 0));
      }),
    ),
  );
});

t.test('any bytes give a value or undefined', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1 }),
        (bytes, path) => {
          protobufString(bytes, ...path);
          protobufInteger(bytes, ...path);
        },
      ),
    ),
  );
});

t.test('integers have 64 bits with a sign', async (t) => {
  const integer = (...bytes: number[]) => protobufInteger(Buffer.from([2 * 8, ...bytes]), 2);
  t.equal(integer(...Array(9).fill(0x80), 1), -(2n ** 63n));
  t.equal(integer(...Array(8).fill(0xff), 0x7f), 2n ** 63n - 1n);
  t.equal(integer(0x81, 0x80, 0), 1n, 'written with more bytes than it takes');
});

t.test('all of a message that has nothing but small fields is read', async (t) => {
  // 4 MiB, which is what is peeked at most: texts of one letter, in as many parts of one message.
  const part = Buffer.from([3 * 8 + 2, 3, 1 * 8 + 2, 1, 0x61]);
  const end = encode({ inner: { name: 'last' } });
  t.equal(protobufString(Buffer.concat([Buffer.alloc(800_000 * part.length, part), end]), 3, 1), 'last');
});
