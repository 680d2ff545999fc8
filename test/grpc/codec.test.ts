import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { codecWithParent, Frame, newCodec, protobufCodec } from '../../lib/grpc/codec.js';

const bytes = fc.uint8Array().map((raw) => Buffer.from(raw));

/** Shaped as ts-proto generates it: the messages are plain objects. */
const Text = {
  encode: (message: { text: string }) => ({ finish: () => new TextEncoder().encode(message.text) }),
  decode: (data: Uint8Array) => ({ text: Buffer.from(data).toString() }),
};

/** Shaped as protobufjs generates it. */
class TextMessage {
  constructor(readonly text: string) {}
  static encode(message: TextMessage): { finish(): Uint8Array } {
    return { finish: () => Buffer.from(message.text) };
  }
  static decode(data: Uint8Array): TextMessage {
    return new TextMessage(Buffer.from(data).toString());
  }
}

/** Shaped as google-protobuf's compiler generates it. */
class GoogleText {
  constructor(readonly text: string) {}
  serializeBinary(): Uint8Array {
    return new TextEncoder().encode(this.text);
  }
  static deserializeBinary(data: Uint8Array): GoogleText {
    return new GoogleText(Buffer.from(data).toString());
  }
}

t.test('a frame gives back the very bytes that it was read from', async (t) => {
  const codec = newCodec();
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(bytes, (data) => {
        const frame = codec.unmarshal(data, Frame);
        assert.equal(frame.payload, data);
        assert.equal(codec.marshal(frame), data);
      }),
    ),
  );
});

t.test('messages of a generated type go to the parent', async (t) => {
  const codec = newCodec();
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const data = codec.marshal(new TextMessage(text));
        assert.deepEqual(codec.unmarshal(data, TextMessage), new TextMessage(text));
        assert.ok(codec.marshal(new GoogleText(text)).equals(data));
        assert.deepEqual(codec.unmarshal(data, GoogleText), new GoogleText(text));
        assert.ok(codec.marshal({ text }, Text).equals(data));
        assert.deepEqual(codec.unmarshal(data, Text), { text });
      }),
    ),
  );
});

t.test('a frame goes on as a message, and a message as a frame', async (t) => {
  const codec = newCodec();
  const frame = codec.unmarshal(codec.marshal(new TextMessage('hi')), Frame);
  t.equal(codec.unmarshal(codec.marshal(frame), TextMessage).text, 'hi');
});

t.test('a parent of one’s own is asked for all but frames', async (t) => {
  const codec = codecWithParent({
    name: 'json',
    marshal: (value) => Buffer.from(JSON.stringify(value)),
    unmarshal: (data, type) => ('decode' in type ? type.decode(data) : type.deserializeBinary(data)),
  });
  t.equal(codec.name, 'proxy>json');
  t.equal(codec.marshal({ a: 1 }).toString(), '{"a":1}');
  const raw = Buffer.from('raw');
  t.equal(codec.marshal(codec.unmarshal(raw, Frame)), raw);
  t.equal(newCodec().name, 'proxy>proto');
});

t.test('bytes that a serializer wrote into a larger buffer are cut out of it', async (t) => {
  const slab = new TextEncoder().encode('--hi--');
  const value = { serializeBinary: () => slab.subarray(2, 4) };
  t.equal(protobufCodec.marshal(value).toString(), 'hi');
});

t.test('what has no known shape is refused with a clear TypeError', async (t) => {
  const expected = { name: 'TypeError', message: /^cannot marshal: / };
  const shapeless = [
    undefined,
    null,
    1,
    'text',
    {},
    Object.create(null),
    { serializeBinary: () => 'no bytes' },
  ];
  for (const value of shapeless) t.throws(() => newCodec().marshal(value), expected);
  const untyped: unknown = {};
  t.throws(() => newCodec().unmarshal(Buffer.alloc(0), untyped as typeof Text), {
    name: 'TypeError',
    message: /^cannot unmarshal: /,
  });
});
