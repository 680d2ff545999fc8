import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Metadata } from '../../lib/grpc/metadata.js';
import { isConnectionHeader, isProtocolHeader, isReservedHeader } from '../../lib/grpc/reserved-headers.js';
import type { HeaderList } from '../../lib/port/headers.js';

const NAME_CHARACTERS = [...'abcxyz019_-.'];
const name = fc
  .string({ unit: fc.constantFrom(...NAME_CHARACTERS), minLength: 1, maxLength: 6 })
  .filter((text) => !text.endsWith('-bin') && !isReservedHeader(text));
const textField = fc.tuple(
  name,
  fc.string({ maxLength: 10 }).map((text) => text.trim()),
);
const binaryField = fc.tuple(
  name.map((text) => `${text}-bin`),
  fc.uint8Array({ maxLength: 10 }),
);
const fields = fc.array(fc.oneof(textField, binaryField), { maxLength: 12 });

t.test('fields come back as they were put in: repeats, bytes and order', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fields, (list) => {
        const metadata = new Metadata(list);
        assert.equal(metadata.size, list.length);
        const back = Metadata.fromHeaders(metadata.toHeaders());
        assert.deepEqual([...back], [...metadata]);
        assert.deepEqual(
          [...back].map(([key]) => key),
          list.map(([key]) => key),
        );
        for (const [key] of list) {
          const values = list.filter(([other]) => other === key).map(([, value]) => value);
          const expected = values.map((value) => (typeof value === 'string' ? value : Buffer.from(value)));
          assert.deepEqual(back.getAll(key), expected);
          assert.deepEqual(back.get(key), expected[0]);
          assert.ok(back.has(key));
        }
      }),
    ),
  );
});

t.test('bytes that any hop joined with commas come apart', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.uint8Array(), { minLength: 1 }), fc.boolean(), (values, padded) => {
        const texts = values.map((value) => {
          const text = Buffer.from(value).toString('base64');
          return padded ? text : text.replaceAll('=', '');
        });
        const metadata = Metadata.fromHeaders(['x-bin', texts.join(padded ? ', ' : ',')]);
        const expected = values.map((value) => Buffer.from(value));
        assert.deepEqual(metadata.getAll('x-bin'), expected);
        assert.deepEqual(metadata.get('x-bin'), expected[0]);
      }),
    ),
  );
  t.strictSame(Metadata.fromHeaders(['x', 'a,b']).getAll('x'), ['a,b'], 'text does not');
});

t.test('bytes go out in base64 without padding', async (t) => {
  t.strictSame(new Metadata().set('x-bin', Buffer.from('a')).toHeaders(), ['x-bin', 'YQ']);
  const window = new Uint8Array(Buffer.from('xxab')).subarray(2);
  t.strictSame(new Metadata().set('x-bin', window).toHeaders(), ['x-bin', 'YWI']);
});

t.test('a value that is not base64 is refused when asked for, and passes untouched', async (t) => {
  for (const text of ['a-_b', 'a b', '!', 'A', 'YQ==YQ==', 'YQ===', 'YQ=', '=']) {
    const metadata = Metadata.fromHeaders(['x-bin', text]);
    t.throws(() => metadata.get('x-bin'), TypeError, text);
    t.strictSame(metadata.toHeaders(), ['x-bin', text]);
  }
});

t.test('a header list gives all but pseudo-headers, connection fields and gRPC fields', async (t) => {
  // biome-ignore format: pairs read best in a block
  const headers: HeaderList = [
    ':method', 'POST', ':path', '/s/m', 'te', 'trailers', 'content-type', 'application/grpc',
    'grpc-encoding', 'gzip', 'grpc-accept-encoding', 'gzip', 'grpc-timeout', '1S', 'host', 'h',
    'connection', 'x', 'content-length', '1', 'grpc-status', '1', 'grpc-message', 'm',
    'user-agent', 'grpc-go', 'x', '1', 'grpc-status-details-bin', 'YQ', 'x', '2', 'authorization', 'secret',
    'grpc-trace-bin', '', 'grpc-previous-rpc-attempts', '1',
  ];
  headers.neverIndexed = ['authorization'];
  const metadata = Metadata.fromHeaders(headers);
  t.strictSame(
    [...metadata],
    [
      ['user-agent', 'grpc-go'],
      ['x', '1'],
      ['grpc-status-details-bin', 'YQ'],
      ['x', '2'],
      ['authorization', 'secret'],
      ['grpc-trace-bin', ''],
      ['grpc-previous-rpc-attempts', '1'],
    ],
  );
  t.strictSame(metadata.toHeaders().neverIndexed, ['authorization']);
  t.strictSame(metadata.clone().toHeaders().neverIndexed, ['authorization']);
});

t.test('names are refused that gRPC does not allow, with the reason', async (t) => {
  const metadata = new Metadata();
  for (const bad of ['', 'a b', ':path', 'ä', 'a\n', 'x/y']) {
    t.throws(() => metadata.set(bad, 'v'), { name: 'TypeError', message: /characters 0-9 a-z _ - \. only/ });
  }
  t.throws(() => metadata.append('TE', 'v'), { name: 'TypeError', message: /"te".*connection/ });
  t.throws(() => new Metadata({ 'grpc-status': '0' }), { name: 'TypeError', message: /gRPC's own/ });
  t.equal(metadata.size, 0);
  t.ok(isConnectionHeader('te') && !isProtocolHeader('te'));
  t.ok(isProtocolHeader('grpc-status') && !isConnectionHeader('grpc-status'));
  t.notOk(isReservedHeader('user-agent'));
});

t.test('values are refused that do not fit their name, with nothing changed', async (t) => {
  const metadata = new Metadata({ x: 'old', 'x-bin': Buffer.of(1) });
  const wide: string = 'x-bin';
  const narrow: string = 'x';
  t.throws(() => metadata.set(wide, 'text'), { name: 'TypeError', message: /takes bytes/ });
  t.throws(() => metadata.set(narrow, Buffer.of(1)), { name: 'TypeError', message: /takes a string/ });
  for (const bad of ['a\nb', 'é', '\x00', '\x7f', 'a\t']) {
    t.throws(() => metadata.set('x', bad), { name: 'TypeError', message: /printable ASCII/ });
  }
  t.strictSame(
    [...metadata],
    [
      ['x', 'old'],
      ['x-bin', 'AQ'],
    ],
  );
});

t.test('names are the same in any case, and spaces around a text are not kept', async (t) => {
  const metadata = new Metadata().set('X-Tenant', '  blue ');
  t.equal(metadata.get('x-TENANT'), 'blue');
  t.ok(metadata.has('X-tenant'));
  t.ok(metadata.delete('X-TENANT'));
  t.notOk(metadata.delete('x-tenant'));
  t.equal(metadata.get('x-tenant'), undefined);
  t.strictSame(metadata.getAll('x-tenant'), []);
});

t.test('set replaces every field of the name, append adds, delete removes all', async (t) => {
  const metadata = new Metadata({ a: ['1', '2'], b: '3' });
  metadata.append('a', '4');
  t.strictSame(metadata.getAll('a'), ['1', '2', '4']);
  metadata.set('a', '5');
  t.strictSame(
    [...metadata],
    [
      ['b', '3'],
      ['a', '5'],
    ],
  );
  metadata.delete('b');
  t.strictSame(metadata.toHeaders(), ['a', '5']);
});

t.test('a copy and a header list are independent of the original', async (t) => {
  const original = new Metadata({ a: '1', 'a-bin': Buffer.of(2) });
  const copy = original.clone().set('a', 'changed', { neverIndexed: true });
  const headers = original.toHeaders();
  headers.push('b', '2');
  t.equal(original.get('a'), '1');
  t.equal(original.size, 2);
  t.equal(original.toHeaders().neverIndexed, undefined);
  t.strictSame(copy.toHeaders().neverIndexed, ['a']);
  t.strictSame([...new Metadata(original)], [...original], 'a Metadata can be made of another');
});

t.test('marking a field never-indexed leaves the list that it came from alone', async (t) => {
  const headers: HeaderList = ['a', '1'];
  headers.neverIndexed = ['a'];
  const metadata = Metadata.fromHeaders(headers);
  metadata.set('b', '2', { neverIndexed: true }).set('a', '3');
  t.strictSame(headers.neverIndexed, ['a']);
  t.strictSame(metadata.toHeaders().neverIndexed, ['a', 'b']);
});

t.test('a name that is no text is refused, whatever is done with it', async (t) => {
  const metadata = new Metadata();
  const name = undefined as unknown as string;
  const refusal = {
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'a name of metadata must be a string, not undefined',
  };
  for (const attempt of [
    () => metadata.get(name),
    () => metadata.getAll(name),
    () => metadata.has(name),
    () => metadata.set(name, ''),
    () => metadata.append(name, ''),
    () => metadata.delete(name),
  ]) {
    t.throws(attempt, refusal);
  }
});
