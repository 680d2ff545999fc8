import fc from 'fast-check';
import t from 'tap';
import type { HeaderList } from '../../../../lib/port/headers.js';
import { HeaderDecoder } from '../../../../lib/transport/frames/hpack/decoder.js';
import { type BlockTarget, HeaderEncoder } from '../../../../lib/transport/frames/hpack/encoder.js';
import { UnsendableFieldError } from '../../../../lib/transport/frames/hpack/unsendable-field-error.js';

class Target implements BlockTarget {
  buffer = Buffer.alloc(16);
  length = 0;
  reserve(octets: number): void {
    if (this.buffer.length - this.length >= octets) return;
    this.buffer = Buffer.concat([this.buffer.subarray(0, this.length), Buffer.alloc(octets)]);
  }
  take(): Buffer {
    const block = Buffer.from(this.buffer.subarray(0, this.length));
    this.length = 0;
    return block;
  }
}

function encode(encoder: HeaderEncoder, headers: HeaderList): Buffer {
  const target = new Target();
  encoder.encode(headers, target);
  return target.take();
}

const name = fc.oneof(
  fc.constantFrom(':path', ':status', 'grpc-timeout', 'te', 'user-agent', 'authorization', 'x-a', 'x-b'),
  fc.string({ unit: fc.constantFrom(...'abcxyz-_0'), minLength: 1, maxLength: 40 }),
);
const value = fc.oneof(
  fc.constantFrom('200', 'trailers', '/', 'a', ''),
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 300,
  }),
);
const list = fc
  .tuple(fc.array(fc.tuple(name, value), { maxLength: 12 }), fc.boolean())
  .map(([fields, never]) => {
    const headers: HeaderList = fields.flat();
    if (never && fields.length > 0) headers.neverIndexed = [fields[0]![0]];
    return headers;
  });

t.test('what the encoder writes, the decoder reads, over many blocks and table sizes', async (t) => {
  const step = fc.oneof({ weight: 8, arbitrary: list }, { weight: 1, arbitrary: fc.nat({ max: 5000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const encoder = new HeaderEncoder(4096);
      const decoder = new HeaderDecoder(4096, 1e9);
      for (const step of steps) {
        if (typeof step === 'number') {
          encoder.setMaxTableSize(step);
          continue;
        }
        const block = encode(encoder, step);
        const decoded = decoder.decode(block, 0, block.length);
        if (JSON.stringify(decoded) !== JSON.stringify(step)) throw new Error(`${decoded} is not ${step}`);
        const sensitive = step.neverIndexed?.[0];
        for (let i = 0; i < step.length; i += 2) {
          if (step[i] === sensitive && !decoded.neverIndexed?.includes(sensitive!))
            throw new Error('indexed');
        }
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});

t.test('a repeated list is one octet a field', async (t) => {
  const encoder = new HeaderEncoder();
  const headers = [':method', 'POST', ':path', '/a.B/C', 'te', 'trailers', 'x-tenant', 'acme'];
  encode(encoder, headers);
  t.equal(encode(encoder, headers).length, 4);
});

t.test('values that never repeat stop pushing others out of the table', async (t) => {
  const encoder = new HeaderEncoder(256);
  for (let i = 0; i < 1000; i++) encode(encoder, ['x-tenant', 'acme', 'grpc-timeout', `${i}u`]);
  t.equal(encode(encoder, ['x-tenant', 'acme']).length, 1);
  encode(encoder, ['grpc-timeout', '5S']);
  encode(encoder, ['grpc-timeout', '5S']);
  t.equal(encode(encoder, ['grpc-timeout', '5S']).length, 1, 'until one does');
});

t.test('RFC 7541 section 4.2: the smallest and the final table size are told', async (t) => {
  const encoder = new HeaderEncoder();
  encoder.setMaxTableSize(0);
  encoder.setMaxTableSize(4096);
  t.equal(encode(encoder, [':method', 'GET']).toString('hex'), '203fe11f82');
  encoder.setMaxTableSize(100000);
  t.equal(encode(encoder, [':method', 'GET']).toString('hex'), '82', 'never above its own limit');
});

t.test('a never-indexed field is a never-indexed literal, and leaves no entry', async (t) => {
  const encoder = new HeaderEncoder();
  const headers: HeaderList = ['authorization', 'secret'];
  headers.neverIndexed = ['authorization'];
  const block = encode(encoder, headers);
  t.equal(block[0], 0x1f);
  t.same(encode(encoder, headers), block);
});

t.test('RFC 7541 section 7.1.3: credentials are never indexed, also when nobody has said so', async (t) => {
  const encoder = new HeaderEncoder();
  const headers: HeaderList = [
    ...['authorization', 'Bearer secret'],
    ...['proxy-authorization', 'Basic secret'],
    ...['cookie', 'id=1'],
    ...['cookie', `session=${'x'.repeat(40)}`],
    ...['x-a', 'b'],
  ];
  for (let times = 0; times < 2; times++) {
    const block = encode(encoder, headers);
    const decoded = new HeaderDecoder(4096, 65536);
    if (times > 0) {
      t.equal(block.toString('latin1').split('secret').length, 3, 'they go out as they are every time');
      t.notOk(block.toString('latin1').includes('session'), 'and what can not be guessed from the table');
      continue;
    }
    t.strictSame(decoded.decode(block, 0, block.length).neverIndexed, [
      'authorization',
      'proxy-authorization',
      'cookie',
    ]);
  }
});

t.test('RFC 7541 section 6.2.3: many names that are never indexed', async (t) => {
  const encoder = new HeaderEncoder();
  const decoder = new HeaderDecoder(4096, 1e6);
  const names = Array.from({ length: 3000 }, (_, i) => `x-${i}`);
  const headers: HeaderList = names.flatMap((name) => [name, 'secret']);
  headers.neverIndexed = names;
  for (let times = 0; times < 2; times++) {
    const block = encode(encoder, headers);
    t.strictSame(decoder.decode(block, 0, block.length).neverIndexed, names);
  }
});

t.test('a block that was given up leaves the tables of both sides alike', async (t) => {
  const encoder = new HeaderEncoder();
  const decoder = new HeaderDecoder(4096, 65536);
  const send = (headers: HeaderList): void => {
    const block = encode(encoder, headers);
    t.strictSame(decoder.decode(block, 0, block.length), headers);
  };
  send(['x-a', '1', 'x-b', '2']);
  t.throws(() => encode(encoder, ['x-c', '3', 'x-d', '\n']), UnsendableFieldError);
  send(['x-b', '2', 'x-c', '3', 'x-a', '1']);
  send(['x-c', '3', 'x-b', '2', 'x-a', '1']);
});
