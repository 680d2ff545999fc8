import fc from 'fast-check';
import t from 'tap';
import { CompressionError } from '../../../../lib/transport/frames/hpack/compression-error.js';
import { HeaderDecoder } from '../../../../lib/transport/frames/hpack/decoder.js';
import { BROKEN_BLOCKS } from './broken-blocks.js';

function decode(hex: string, decoder = new HeaderDecoder(4096, 65536)) {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  return decoder.decode(bytes, 0, bytes.length);
}

for (const [name, block] of BROKEN_BLOCKS) {
  t.test(`RFC 7541 section ${name} is a compression error`, async (t) => {
    t.throws(() => decode(block), CompressionError);
  });
}

t.test('RFC 7541 section 5.2: padding of up to 7 ones is legal', async (t) => {
  t.strictSame(decode('40 01 61 81 1f'), ['a', 'a']);
  t.strictSame(decode('40 01 61 82 1c 64'.replace('82 1c 64', '81 07')), ['a', '0']);
});

t.test('RFC 7541 section 4.2: several size updates may begin a block', async (t) => {
  const decoder = new HeaderDecoder(4096, 65536);
  decode('40 01 61 01 62', decoder);
  t.strictSame(decode('20 3f e1 1f 82', decoder), [':method', 'GET']);
  t.throws(() => decode('be', decoder), CompressionError, 'the first update has emptied the table');
});

t.test('RFC 7541 section 2.3.2: duplicate entries are legal', async (t) => {
  t.strictSame(decode('40 01 61 01 62 40 01 61 01 62 be bf'), ['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b']);
});

t.test('RFC 7541 section 4.4: entries that fill the table exactly stay, until one more comes', async (t) => {
  const decoder = new HeaderDecoder(68, 65536);
  decode('40 01 61 01 62 40 01 63 01 64', decoder);
  t.strictSame(decode('bf', decoder), ['a', 'b']);
  decode('40 01 65 01 66', decoder);
  t.strictSame(decode('bf', decoder), ['c', 'd']);
  t.throws(() => decode('c0', decoder), CompressionError);
});

t.test('RFC 7541 section 4.4: an entry larger than the table empties it, and is no error', async (t) => {
  const decoder = new HeaderDecoder(64, 65536);
  decode('40 01 61 01 62', decoder);
  t.strictSame(decode('be', decoder), ['a', 'b']);
  const long = Buffer.alloc(40, 'x');
  const block = Buffer.concat([Buffer.from([0x40, 1, 0x61, long.length]), long]);
  t.strictSame(decoder.decode(block, 0, block.length), ['a', long.toString()]);
  t.throws(() => decode('be', decoder), CompressionError);
});

t.test('a list above the limit is cut, and the table follows all the same', async (t) => {
  const decoder = new HeaderDecoder(4096, 100);
  const list = decode('40 01 61 01 62'.repeat(4), decoder);
  t.ok(decoder.tooLarge);
  t.equal(list.length, 4, 'two fields of 34 fit into 100');
  t.strictSame(decode('c1', decoder), ['a', 'b'], 'the fourth entry is there');
  t.notOk(decoder.tooLarge);
});

t.test('an HPACK bomb makes no long list', async (t) => {
  const decoder = new HeaderDecoder(4096, 65536);
  const value = Buffer.alloc(4000, 'x');
  const bomb = Buffer.concat([
    Buffer.from([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]),
    value,
    Buffer.alloc(60000, 0xbe),
  ]);
  const list = decoder.decode(bomb, 0, bomb.length);
  t.ok(decoder.tooLarge);
  t.ok(list.length <= 2 * 17);
});

t.test('RFC 9113 section 8.2.1: illegal characters are noticed, also from the dynamic table', async (t) => {
  for (const field of [
    '40 01 41 01 62',
    '40 01 20 01 62',
    '40 02 613a 01 62',
    '40 00 01 62',
    '40 01 ff 01 62',
  ]) {
    const decoder = new HeaderDecoder(4096, 65536);
    decode(field, decoder);
    t.ok(decoder.illegal, `name in ${field}`);
    decode('82', decoder);
    t.notOk(decoder.illegal);
    decode('be', decoder);
    t.ok(decoder.illegal, 'indexed');
    decode('0f 2f 01 63', decoder);
    t.ok(decoder.illegal, 'its name indexed');
  }
  for (const value of ['00', '0a', '0d', '20', '09']) {
    const decoder = new HeaderDecoder(4096, 65536);
    decode(`40 01 61 01 ${value}`, decoder);
    t.ok(decoder.illegal, `value ${value}`);
  }
  const decoder = new HeaderDecoder(4096, 65536);
  decode('40 0c 677270632d6d657373616765 02 6120', decoder);
  t.notOk(decoder.illegal, 'a grpc-message may end in a space');
});

t.test('whatever comes in, the decoder throws nothing but its own error', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HeaderDecoder(4096, 1000);
      try {
        for (const block of blocks) {
          const bytes = Buffer.from(block);
          decoder.decode(bytes, 0, bytes.length);
        }
      } catch (error) {
        if (!(error instanceof CompressionError)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
  t.pass();
});
