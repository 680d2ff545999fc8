import { createPrivateKey } from 'node:crypto';
import { Metadata as GrpcMetadata, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import t from 'tap';
import {
  Code,
  Frame,
  FramingError,
  InvalidPeekCountError,
  Metadata,
  newCodec,
  StatusError,
} from '../../lib/index.js';
import { headerValue } from '../../lib/port/headers.js';
import { mine, throwing, untyped, withTrap } from '../support/hostile-values.js';
import { secondCopy } from '../support/second-copy.js';

const DETAILS = 'grpc-status-details-bin';

function grpcError(properties: object): Error {
  return Object.assign(new Error('5 NOT_FOUND: not here'), {
    code: status.NOT_FOUND,
    details: 'not here',
    metadata: new GrpcMetadata(),
    ...properties,
  });
}

function metadataOf(fields: readonly (readonly [name: string, value: string | Buffer])[]): GrpcMetadata {
  const metadata = new GrpcMetadata();
  for (const [name, value] of fields) metadata.add(name, value);
  return metadata;
}

t.test('an error of grpc-js is its code, details and metadata', async (t) => {
  const metadata = metadataOf([
    ['reason', 'one'],
    ['reason', 'other'],
    ['x-bin', Buffer.of(0, 255)],
    [DETAILS, Buffer.from('details')],
  ]);
  const error = grpcError({ metadata });
  const known = StatusError.from(error);
  t.strictSame(known.toTrailers(), [
    'grpc-status',
    '5',
    'grpc-message',
    'not here',
    'reason',
    'one',
    'reason',
    'other',
    'x-bin',
    'AP8',
    DETAILS,
    'ZGV0YWlscw',
  ]);
  t.equal(known.cause, error);
  known.trailers.set('more', 'yes');
  t.equal(headerValue(known.toTrailers(), 'more'), 'yes');
  t.strictSame(metadata.get('more'), [], 'it is a copy');
});

t.test('any code of an error is understood, and no other number, nor a code alone', async (t) => {
  for (let code = 1; code <= 16; code++) t.equal(StatusError.from(grpcError({ code })).code, code);
  for (const code of [
    0,
    -1,
    17,
    99,
    1.5,
    NaN,
    Infinity,
    5n,
    '5',
    'NOT_FOUND',
    null,
    undefined,
    Symbol('5'),
  ]) {
    const { code: known, message } = StatusError.from(grpcError({ code }));
    t.strictSame([known, message], [Code.UNKNOWN, '5 NOT_FOUND: not here'], String(code));
  }
  for (const error of [
    Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', errno: -111 }),
    Object.assign(new Error('exit code 1'), { code: 1 }),
    grpcError({ details: undefined }),
    grpcError({ details: ['a', 'list'] }),
    ...[undefined, null, 7, 'text', {}, [], new Map()].map((metadata) => grpcError({ metadata })),
  ]) {
    const { code, message } = StatusError.from(error);
    t.strictSame([code, message], [Code.UNKNOWN, error.message]);
  }
  t.equal(StatusError.from(new DOMException('not found', 'NotFoundError')).code, Code.UNKNOWN);
});

t.test("gRPC's own fields, and what cannot be sent, are left out of foreign metadata", async (t) => {
  const known = StatusError.from(
    grpcError({
      metadata: {
        getMap: () => ({
          'content-type': 'application/grpc',
          'grpc-status': '0',
          'grpc-message': 'fine',
          te: 'trailers',
          ':status': '200',
          'a b': 'x',
          'line\r\nbreak': 'x',
          text: 'x',
          'x-bin': 'x',
          numbers: 'x',
          kept: 'x',
        }),
        get: (name: string) =>
          ({
            text: ['line\r\nbreak', '\u{1F600}'],
            'x-bin': ['text'],
            numbers: [7, null, mine()],
            kept: ['yes', '\0', 'and more'],
          })[name] ?? ['x'],
      },
    }),
  );
  t.strictSame(known.toTrailers().slice(4), ['kept', 'yes', 'kept', 'and more']);
});

t.test('an error that throws where it is read, or is something else each time, is some status', async (t) => {
  const traps = [
    withTrap(grpcError({}), 'code'),
    withTrap(grpcError({}), 'details'),
    withTrap(grpcError({}), 'metadata'),
    withTrap(grpcError({}), 'code', 'details', 'metadata', 'message'),
    new Proxy(grpcError({}), { get: throwing(new Error('no')) }),
  ];
  for (const error of traps) t.equal(StatusError.from(error).code, Code.UNKNOWN);
  for (const metadata of [
    withTrap(new GrpcMetadata(), 'getMap'),
    { getMap: throwing(new Error('no')), get: () => [] },
    { getMap: () => null, get: () => [] },
    { getMap: () => ({ a: 'b' }), get: throwing(new Error('no')) },
    { getMap: () => ({ a: 'b' }), get: () => mine() },
    { getMap: () => mine(), get: () => [] },
  ]) {
    const { code, trailers } = StatusError.from(grpcError({ metadata }));
    t.ok(code === Code.NOT_FOUND || code === Code.UNKNOWN);
    t.equal(trailers.size, 0);
  }
  t.equal(StatusError.from(grpcError({ metadata: mine() })).code, Code.UNKNOWN);
  let reads = 0;
  const changing = Object.defineProperty(grpcError({}), 'code', { get: () => [5, 0, 99][reads++] });
  t.equal(StatusError.from(changing).code, Code.NOT_FOUND);
  t.equal(reads, 1);
  t.equal(StatusError.from(new Proxy(grpcError({}), {})).code, Code.NOT_FOUND);
});

t.test('no error that anybody makes is more than a StatusError', async (t) => {
  const anything = fc.anything({ withBigInt: true, withNullPrototype: true });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.record({ code: fc.oneof(fc.integer(), anything), details: anything, metadata: anything }),
        (error) => {
          StatusError.from(error).toTrailers();
        },
      ),
    ),
  );
});

t.test('a StatusError of another copy of the package is its code, message and trailers', async (t) => {
  const other = await secondCopy(t);
  t.not(other.StatusError, StatusError);
  const trailers = { reason: 'gone', [DETAILS]: Buffer.from('details') };
  const theirs = new other.StatusError(Code.NOT_FOUND, 'no such répo', trailers);
  theirs.trailers.set('token', 'secret', { neverIndexed: true });
  const known = StatusError.from(theirs);
  t.strictSame([...known.toTrailers()], [...theirs.toTrailers()]);
  t.strictSame(known.toTrailers().neverIndexed, ['token']);
  t.strictSame(known.trailers.get(DETAILS), Buffer.from('details'));
  t.equal(known.cause, theirs);
  const answered = other.StatusError.fromTrailers([
    ...[
      ':status',
      '200',
      'content-type',
      'application/grpc',
      'grpc-status',
      '7',
      'grpc-message',
      'not %C3%A9',
    ],
    ...[DETAILS, '!!not base64!!'],
  ]);
  t.strictSame(StatusError.from(answered).toTrailers(), [
    ...['grpc-status', '7', 'grpc-message', 'not %C3%A9', DETAILS, '!!not base64!!'],
  ]);
  t.equal(StatusError.from(Object.assign(theirs, { code: 99 })).code, Code.UNKNOWN);
});

t.test(
  'instanceof knows the objects of another copy of the package, and is of use to subclasses',
  async (t) => {
    const other = await secondCopy(t);
    const status = new other.StatusError(Code.ABORTED, 'x');
    const framing = new other.FramingError(Code.INTERNAL, 'x');
    t.ok(status instanceof StatusError);
    t.ok(framing instanceof StatusError);
    t.ok(framing instanceof FramingError);
    t.notOk(status instanceof FramingError);
    t.ok(new other.InvalidPeekCountError() instanceof InvalidPeekCountError);
    t.ok(new other.Metadata() instanceof Metadata);
    t.ok(new other.Frame(Buffer.of(1)) instanceof Frame);
    for (const value of [undefined, null, 'text', 7, {}, new Error(), mine()]) {
      t.notOk(value instanceof StatusError);
      t.notOk(value instanceof Metadata);
    }
    class Mine extends StatusError {}
    t.ok(new Mine(Code.ABORTED, 'x') instanceof Mine);
    t.ok(new Mine(Code.ABORTED, 'x') instanceof StatusError);
    t.ok(new Mine(Code.ABORTED, 'x') instanceof other.StatusError);
    t.notOk(status instanceof Mine);
  },
);

t.test('metadata and frames of another copy of the package are as good as those of this one', async (t) => {
  const other = await secondCopy(t);
  const theirs = new other.Metadata({ a: ['1', '2'], 'x-bin': Buffer.of(1) });
  theirs.append('token', 'secret', { neverIndexed: true });
  const copy = new Metadata(theirs);
  t.strictSame(copy.toHeaders(), theirs.toHeaders());
  t.strictSame(copy.toHeaders().neverIndexed, ['token']);
  copy.set('a', '3');
  t.equal(theirs.get('a'), '1', 'it is a copy');
  const error = new StatusError(Code.ABORTED, '', theirs);
  t.strictSame(error.toTrailers().slice(2), [...theirs.toHeaders()]);
  const codec = newCodec();
  const payload = Buffer.from('bytes');
  t.equal(codec.marshal(new other.Frame(payload)), payload);
  t.equal(codec.unmarshal(payload, other.Frame).payload, payload);
});

t.test('what only claims to be metadata of another copy is refused where it is given', async (t) => {
  const mark = Symbol.for('grpc-frame-proxy.Metadata');
  for (const toHeaders of [
    undefined,
    7,
    throwing(new TypeError('no')),
    () => undefined,
    () => ['odd'],
    () => ['a', 7],
    () => Object.assign(['a', 'b'], { neverIndexed: 'a' }),
  ]) {
    const claimed = untyped<Metadata>({ [mark]: true, toHeaders });
    t.throws(() => new Metadata(claimed), TypeError);
    t.throws(() => new StatusError(Code.ABORTED, '', claimed), TypeError);
  }
  const clone = untyped<Metadata>(Object.create(Metadata.prototype));
  t.throws(() => new StatusError(Code.ABORTED, '', clone), TypeError);
  const reserved = untyped<Metadata>({ [mark]: true, toHeaders: () => [':path', '/', 'te', 'x', 'a', 'b'] });
  t.strictSame(new Metadata(reserved).toHeaders(), ['a', 'b']);
});

t.test("OpenSSL's own text is not told, but its code", async (t) => {
  const alert =
    'write EPROTO 40D7F2A1007F0000:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:' +
    '../deps/openssl/openssl/ssl/record/rec_layer_s3.c:1590:SSL alert number 40\n';
  const { message } = StatusError.from(Object.assign(new Error(alert), { code: 'EPROTO' }));
  t.equal(message, 'write EPROTO OpenSSL error');
  const coded = { code: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE' };
  t.equal(
    StatusError.from(Object.assign(new Error(alert), coded)).message,
    'write EPROTO OpenSSL error (ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE)',
  );
  t.equal(StatusError.from(alert).message, 'write EPROTO OpenSSL error');
  try {
    createPrivateKey('-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----');
  } catch (error) {
    t.match(StatusError.from(error).message, /^OpenSSL error \(ERR_OSSL_\w+\)$/);
  }
  t.equal(StatusError.from(new Error('an error: of ours')).message, 'an error: of ours');
  t.equal(
    StatusError.from(new Error(`error:${'A'.repeat(100_000)}`)).message.length,
    100_006,
    'in little time',
  );
});
