import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Metadata } from '../../lib/grpc/metadata.js';
import { Code, decodeStatusMessage, encodeStatusMessage, StatusError } from '../../lib/grpc/status.js';
import { codeFromErrorCode, codeFromHttpStatus } from '../../lib/grpc/status-mapping.js';
import { ErrorCode, errorCodeName } from '../../lib/port/error-code.js';
import { type HeaderList, headerValue } from '../../lib/port/headers.js';

const ON_THE_WIRE = /^[\x20-\x7e]*$/;

t.test('any text survives percent-encoding', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' })), (text) => {
        const encoded = encodeStatusMessage(text);
        assert.match(encoded, ON_THE_WIRE);
        assert.equal(encoded, encoded.trim());
        assert.equal(decodeStatusMessage(encoded), text);
      }),
    ),
  );
});

t.test('lone surrogates do not throw and become U+FFFD', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.equal(decodeStatusMessage(encodeStatusMessage(text)), Buffer.from(text).toString());
      }),
    ),
  );
  t.equal(decodeStatusMessage(encodeStatusMessage('a\ud800b')), 'a\ufffdb');
});

t.test('only what must be is percent-encoded', async (t) => {
  t.equal(encodeStatusMessage('a b, "c"~'), 'a b, "c"~');
  t.equal(encodeStatusMessage('100%\r\n\té\x7f'), '100%25%0D%0A%09%C3%A9%7F');
  t.equal(encodeStatusMessage(' x '), '%20x%20', 'a field value must not begin or end with a space');
});

t.test('decoding never throws and keeps what is no escape', async (t) => {
  t.equal(decodeStatusMessage('50% off %zz %4'), '50% off %zz %4');
  t.equal(decodeStatusMessage('%e2%82%AC'), '€');
  t.equal(decodeStatusMessage('%E2%82 and %FF'), '\ufffd and \ufffd');
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string(), (text) => {
        decodeStatusMessage(text);
      }),
    ),
  );
});

t.test('an error of our own becomes status, message and metadata', async (t) => {
  const error = new StatusError(
    Code.NOT_FOUND,
    'no such répo',
    new Metadata({ reason: 'gone', 'x-bin': Buffer.of(1) }),
  );
  t.equal(error.name, 'StatusError');
  t.equal(error.message, 'no such répo');
  t.match(error.stack, /^StatusError: no such répo\n/);
  t.strictSame(error.toTrailers(), [
    'grpc-status',
    '5',
    'grpc-message',
    'no such r%C3%A9po',
    'reason',
    'gone',
    'x-bin',
    'AQ',
  ]);
  t.strictSame(new StatusError(Code.ABORTED, '').toTrailers(), ['grpc-status', '10']);
});

t.test('metadata added to an error later is sent, never-indexed names included', async (t) => {
  const error = new StatusError(Code.ABORTED, 'retry');
  error.trailers.set('token', 'secret', { neverIndexed: true });
  const trailers = error.toTrailers();
  t.equal(headerValue(trailers, 'token'), 'secret');
  t.strictSame(trailers.neverIndexed, ['token']);
});

t.test('OK and numbers that are no code are refused', async (t) => {
  t.throws(() => new StatusError(Code.OK, 'fine'), RangeError);
  for (const code of [17, -1, 1.5, Number.NaN]) t.throws(() => new StatusError(code, ''), RangeError);
});

t.test('from takes anything that can be thrown', async (t) => {
  const status = new StatusError(Code.ABORTED, 'x');
  t.equal(StatusError.from(status), status);
  const plain = new Error('plain');
  t.match(StatusError.from(plain), { code: Code.UNKNOWN, message: 'plain' });
  t.equal(StatusError.from(plain).cause, plain);
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
        assert.equal(StatusError.from(value).code, Code.UNKNOWN);
      }),
    ),
  );
  t.equal(StatusError.from('text').message, 'text');
});

t.test('the trailers of a backend pass unchanged, opaque fields included', async (t) => {
  const field = fc.tuple(
    fc.constantFrom('grpc-message', 'grpc-status-details-bin', 'x-custom', 'x-bin', 'grpc-encoding'),
    fc.string({ maxLength: 20 }),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.array(field), (code, fields) => {
        const wire: HeaderList = ['grpc-status', String(code), ...fields.flat()];
        assert.deepEqual(StatusError.fromTrailers(wire)?.toTrailers(), wire);
      }),
    ),
  );
});

t.test('a Trailers-Only response loses only what trailers must not hold', async (t) => {
  const wire: HeaderList = [
    ':status',
    '200',
    'content-type',
    'application/grpc',
    'grpc-status',
    '07',
    'grpc-message',
    '%e9%zz',
    'grpc-status-details-bin',
    '!!not base64!!',
    'token',
    'a',
  ];
  wire.neverIndexed = ['token'];
  const error = StatusError.fromTrailers(wire);
  t.equal(error?.code, Code.PERMISSION_DENIED);
  t.equal(error?.message, '\ufffd%zz');
  t.equal(error?.trailers.get('token'), 'a');
  t.notOk(error?.trailers.has('grpc-message'));
  const trailers = error?.toTrailers();
  t.strictSame([...(trailers ?? [])], wire.slice(4));
  t.strictSame(trailers?.neverIndexed, ['token']);
});

t.test('a status of 0 is no error; a missing or malformed one is UNKNOWN', async (t) => {
  t.equal(StatusError.fromTrailers(['grpc-status', '0', 'grpc-message', 'x']), undefined);
  t.equal(StatusError.fromTrailers(['grpc-status', '00']), undefined);
  t.match(StatusError.fromTrailers(['x', 'y'])?.toTrailers(), [
    'grpc-status',
    '2',
    'grpc-message',
    'missing grpc-status in trailers',
  ]);
  for (const text of ['', '-1', '1.0', '0x5', 'OK', ' 5', '٣']) {
    const error = StatusError.fromTrailers(['grpc-status', text]);
    t.equal(error?.code, Code.UNKNOWN);
    t.match(error?.message, /^malformed grpc-status in trailers: "/);
    t.equal(headerValue(error?.toTrailers() ?? [], 'grpc-status'), '2');
  }
});

t.test('a status that is repeated is itself, unless it contradicts itself: that is UNKNOWN', async (t) => {
  t.equal(StatusError.fromTrailers(['grpc-status', '0', 'x', 'y', 'grpc-status', '0']), undefined);
  t.equal(StatusError.fromTrailers(['grpc-status', '5', 'grpc-status', '5'])?.code, Code.NOT_FOUND);
  for (const [one, other] of [
    ['0', '5'],
    ['5', '0'],
    ['5', '7'],
    ['0', ''],
  ] as const) {
    const error = StatusError.fromTrailers(['grpc-status', one, 'grpc-status', other]);
    t.strictSame(error?.toTrailers().slice(0, 2), ['grpc-status', '2']);
    t.equal(error?.message, `malformed grpc-status in trailers: "${one}, ${other}"`);
  }
});

t.test('a code that gRPC does not define is UNKNOWN to code here and itself on the wire', async (t) => {
  for (const text of ['17', '99', '123456789012345678901234567890']) {
    const error = StatusError.fromTrailers(['grpc-status', text]);
    t.equal(error?.code, Code.UNKNOWN);
    t.strictSame(error?.toTrailers(), ['grpc-status', text]);
  }
});

t.test('reset codes map to statuses as PROTOCOL-HTTP2 says', async (t) => {
  const expected = [
    ['NO_ERROR', Code.INTERNAL],
    ['PROTOCOL_ERROR', Code.INTERNAL],
    ['INTERNAL_ERROR', Code.INTERNAL],
    ['FLOW_CONTROL_ERROR', Code.INTERNAL],
    ['SETTINGS_TIMEOUT', Code.INTERNAL],
    ['STREAM_CLOSED', Code.UNKNOWN],
    ['FRAME_SIZE_ERROR', Code.INTERNAL],
    ['REFUSED_STREAM', Code.UNAVAILABLE],
    ['CANCEL', Code.CANCELLED],
    ['COMPRESSION_ERROR', Code.INTERNAL],
    ['CONNECT_ERROR', Code.INTERNAL],
    ['ENHANCE_YOUR_CALM', Code.RESOURCE_EXHAUSTED],
    ['INADEQUATE_SECURITY', Code.PERMISSION_DENIED],
    ['HTTP_1_1_REQUIRED', Code.UNKNOWN],
  ] as const;
  for (const [code, [name, status]] of expected.entries()) {
    t.equal(ErrorCode[name], code);
    t.equal(errorCodeName(code), name);
    t.equal(codeFromErrorCode(code), status, name);
  }
  t.equal(errorCodeName(0xffffffff), 'error code 4294967295');
  t.equal(codeFromErrorCode(0xffffffff), Code.UNKNOWN);
});

t.test('HTTP statuses map as http-grpc-status-mapping says', async (t) => {
  const expected = new Map([
    [400, Code.INTERNAL],
    [401, Code.UNAUTHENTICATED],
    [403, Code.PERMISSION_DENIED],
    [404, Code.UNIMPLEMENTED],
    [429, Code.UNAVAILABLE],
    [502, Code.UNAVAILABLE],
    [503, Code.UNAVAILABLE],
    [504, Code.UNAVAILABLE],
  ]);
  for (let status = 100; status < 600; status++) {
    t.equal(codeFromHttpStatus(status), expected.get(status) ?? Code.UNKNOWN);
  }
});
