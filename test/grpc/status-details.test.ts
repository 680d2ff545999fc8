import assert from 'node:assert/strict';
import { Metadata } from '@grpc/grpc-js';
import fc from 'fast-check';
import t from 'tap';
import { Code, StatusError } from '../../lib/grpc/status.js';
import { readStatusDetails, type StatusDetails, withStatusDetails } from '../../lib/grpc/status-details.js';
import { decode, encode, encodeStatus, typeUrl } from '../support/rpc-status.js';

const TRAILER = 'grpc-status-details-bin';

const failure = (message = 'too many calls') => new StatusError(Code.RESOURCE_EXHAUSTED, message);

/** What protobufjs reads of the trailer. */
function written(error: StatusError): { code: number; message: string; details: Record<string, unknown>[] } {
  const { code, message, details } = decode('Status', error.trailers.get(TRAILER)!);
  assert(Array.isArray(details));
  return {
    code: Number(code),
    message: String(message),
    details: details.map(({ type_url, value }) => {
      const type = String(type_url).slice(typeUrl('').length);
      return { type, ...decode(type, value) };
    }),
  };
}

/** An error with this in the trailer. */
const received = (status: Uint8Array) =>
  new StatusError(Code.RESOURCE_EXHAUSTED, 'no', { [TRAILER]: status });

t.test('details are a google.rpc.Status with the code and message of the error', async (t) => {
  const help = { links: [{ description: 'how to', url: 'https://example.com/' }] };
  const error = withStatusDetails(failure('trop d’appels'), {
    retryInfo: { delayMilliseconds: 61_500.25 },
    errorInfo: { reason: 'RATE_LIMIT', domain: 'example.com', metadata: { tenant: 'a', '': '' } },
    badRequest: { fieldViolations: [{ field: 'a.b', description: 'is bad' }] },
    others: [{ typeUrl: typeUrl('Help'), value: encode('Help', help) }],
  });
  t.equal(error.code, Code.RESOURCE_EXHAUSTED);
  t.equal(error.message, 'trop d’appels');
  t.strictSame(written(error), {
    code: 8,
    message: 'trop d’appels',
    details: [
      { type: 'RetryInfo', retry_delay: { seconds: '61', nanos: 500_250_000 } },
      { type: 'ErrorInfo', reason: 'RATE_LIMIT', domain: 'example.com', metadata: { tenant: 'a', '': '' } },
      { type: 'BadRequest', field_violations: [{ field: 'a.b', description: 'is bad' }] },
      { type: 'Help', ...help },
    ],
  });
});

t.test('other trailers and the cause stay, and the error given is not changed', async (t) => {
  const cause = new Error('why');
  const given = new StatusError(Code.ABORTED, 'no', { 'x-more': 'text' });
  given.cause = cause;
  const error = withStatusDetails(given, { retryInfo: { delayMilliseconds: 1 } });
  t.equal(error.trailers.get('x-more'), 'text');
  t.equal(error.cause, cause);
  t.notOk(given.trailers.has(TRAILER));
  t.notOk('cause' in withStatusDetails(failure(), {}));
});

t.test('details that there were are replaced, or kept by giving them again', async (t) => {
  const first = withStatusDetails(failure(), { errorInfo: { reason: 'A', domain: 'b' } });
  const replaced = withStatusDetails(first, { retryInfo: { delayMilliseconds: 5 } });
  t.strictSame(readStatusDetails(replaced), { retryInfo: { delayMilliseconds: 5 }, others: [] });
  const kept = withStatusDetails(first, { ...readStatusDetails(first), retryInfo: { delayMilliseconds: 5 } });
  t.strictSame(readStatusDetails(kept), {
    retryInfo: { delayMilliseconds: 5 },
    errorInfo: { reason: 'A', domain: 'b', metadata: {} },
    others: [],
  });
  t.notOk(withStatusDetails(first, {}).trailers.has(TRAILER), 'none are none');
});

t.test('a delay that is over is none, and what is no delay throws', async (t) => {
  const delay = (delayMilliseconds: number) =>
    readStatusDetails(withStatusDetails(failure(), { retryInfo: { delayMilliseconds } })).retryInfo;
  t.strictSame(delay(-5), { delayMilliseconds: 0 });
  t.strictSame(delay(Number.NEGATIVE_INFINITY), { delayMilliseconds: 0 });
  t.strictSame(delay(1999.9999999), { delayMilliseconds: 1999.999999 }, 'less than a nanosecond is cut');
  t.strictSame(delay(315_576_000_000_000), { delayMilliseconds: 315_576_000_000_000 });
  for (const none of [Number.NaN, Number.POSITIVE_INFINITY, 315_576_000_001_000]) {
    t.throws(() => delay(none), RangeError);
  }
});

t.test('details that are none throw by name', async (t) => {
  const given = (details: unknown) => () => withStatusDetails(failure(), details as StatusDetails);
  t.throws(
    given({ retryInfo: { delayMilliseconds: '5' } }),
    /delayMilliseconds must be a number, not string/,
  );
  t.throws(given({ errorInfo: { reason: 'A' } }), {
    message: 'errorInfo.domain must be a string, not undefined',
  });
  t.throws(
    given({ errorInfo: { reason: 'A', domain: '', metadata: { a: 1 } } }),
    /errorInfo\.metadata\.a must/,
  );
  for (const metadata of [null, 'text', 5, ['a'], new Map([['a', 'b']])]) {
    t.throws(given({ errorInfo: { reason: 'A', domain: '', metadata } }), {
      message: /^errorInfo\.metadata must be an object/,
      code: 'ERR_INVALID_ARG_TYPE',
    });
  }
  t.throws(
    given({ badRequest: { fieldViolations: [{ field: 'a' }] } }),
    /fieldViolations\[0\]\.description must/,
  );
  t.throws(given({ others: [{ typeUrl: 'a/b', value: 'text' }] }), /Uint8Array/);
  t.throws(
    given({ retryinfo: { delayMilliseconds: 5 } }),
    /no option details\.retryinfo \(did you mean retryInfo\?\)/,
  );
  t.throws(given({ retryInfo: { delayMillis: 5 } }), /delayMilliseconds must be a number, not undefined/);
  for (const none of [undefined, null, 'text', []]) t.throws(given(none), /details must be an object/);
  t.throws(given({ retryInfo: null }), /retryInfo must be an object, not null/);
  t.throws(given({ errorInfo: 'text' }), /errorInfo must be an object/);
  t.throws(
    given({ badRequest: { fieldViolations: 'none' } }),
    /badRequest\.fieldViolations must be an array/,
  );
  t.throws(
    given({ badRequest: { fieldViolations: [null] } }),
    /fieldViolations\[0\] must be an object, not null/,
  );
  t.throws(given({ others: 'none' }), /others must be an array/);
  t.throws(given({ others: [null] }), /others\[0\] must be an object/);
  const made = { $typeName: 'google.protobuf.Any', typeUrl: 'a/b', value: new Uint8Array(1) };
  t.doesNotThrow(given({ others: [made], errorInfo: { ...made, reason: 'A', domain: 'b' } }), 'of a library');
  t.throws(given({ others: [{ value: Buffer.alloc(1) }] }), /typeUrl/);
});

t.test('status and details take 3 KiB at most: what has no room is left out, the status stays', async (t) => {
  const fieldViolations = Array.from({ length: 200 }, (_, i) => ({ field: `f${i}`, description: 'is bad' }));
  const error = withStatusDetails(failure(), {
    retryInfo: { delayMilliseconds: 5 },
    badRequest: { fieldViolations },
    others: [
      { typeUrl: 'a/small', value: Buffer.alloc(2000) },
      { typeUrl: 'a/large', value: Buffer.alloc(2000) },
    ],
  });
  const { retryInfo, badRequest, others } = readStatusDetails(error);
  t.strictSame([retryInfo, badRequest], [{ delayMilliseconds: 5 }, undefined]);
  t.strictSame(
    others.map((other) => other.typeUrl),
    ['a/small'],
  );
  const long = withStatusDetails(failure('x'.repeat(5000)), { retryInfo: { delayMilliseconds: 5 } });
  t.equal(long.message.length, 5000);
  t.notOk(long.trailers.has(TRAILER));
  const size = (value: number) =>
    withStatusDetails(failure(), { others: [{ typeUrl: 'a/b', value: Buffer.alloc(value) }] });
  t.equal(size(3043).trailers.get(TRAILER)!.length, 3072);
  t.notOk(size(3044).trailers.has(TRAILER));
});

t.test('whatever is written is read', async (t) => {
  const text = fc.string({ unit: 'grapheme', maxLength: 10 });
  const details = fc.record(
    {
      retryInfo: fc.record({ delayMilliseconds: fc.nat(2 ** 31 - 1) }),
      errorInfo: fc.record({
        reason: text,
        domain: text,
        metadata: fc.dictionary(text, text, { maxKeys: 4 }),
      }),
      badRequest: fc.record({
        fieldViolations: fc.array(fc.record({ field: text, description: text }), { maxLength: 4 }),
      }),
      others: fc.array(
        fc.record({
          typeUrl: text,
          value: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
        }),
        { maxLength: 3 },
      ),
    },
    { requiredKeys: ['others'] },
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(details, fc.integer({ min: 1, max: 16 }), text, (given, code, message) => {
        const error = withStatusDetails(new StatusError(code, message), given);
        assert.deepEqual(plain(readStatusDetails(error)), plain(given));
        const trailers = error.toTrailers();
        const answered = StatusError.fromTrailers(trailers);
        assert.deepEqual(plain(readStatusDetails(answered)), plain(given));
      }),
    ),
  );
});

/** Without what makes objects differ that say the same: dictionaries of fast-check have no prototype. */
const plain = (details: unknown): unknown => JSON.parse(JSON.stringify(details));

t.test('details with fields and types that are not known here are read, and none is lost', async (t) => {
  const violation = { field: 'a', description: 'b', reason: 'NEW' };
  const status = encodeStatus(
    8,
    'no',
    ['BadRequest', encode('BadRequest', { field_violations: [violation] })],
    ['Help', encode('Help', { links: [] })],
    ['RetryInfo', encode('RetryInfo', { retry_delay: { seconds: 1 } })],
    ['RetryInfo', encode('RetryInfo', { retry_delay: { seconds: 2 } })],
  );
  t.strictSame(readStatusDetails(received(status)), {
    badRequest: { fieldViolations: [{ field: 'a', description: 'b' }] },
    retryInfo: { delayMilliseconds: 1000 },
    others: [
      { typeUrl: typeUrl('Help'), value: Buffer.alloc(0) },
      { typeUrl: typeUrl('RetryInfo'), value: encode('RetryInfo', { retry_delay: { seconds: 2 } }) },
    ],
  });
  t.strictSame(readStatusDetails(received(encodeStatus(8, '', ['RetryInfo', Buffer.alloc(0)]))).retryInfo, {
    delayMilliseconds: 0,
  });
});

t.test('details of an error of grpc-js are read as those of any other', async (t) => {
  const metadata = new Metadata();
  const value = encode('RetryInfo', { retry_delay: { seconds: 1 } });
  metadata.set(TRAILER, encodeStatus(8, 'no', ['RetryInfo', value]));
  const error = Object.assign(new Error('8 RESOURCE_EXHAUSTED: no'), { code: 8, details: 'no', metadata });
  t.strictSame(readStatusDetails(error), { retryInfo: { delayMilliseconds: 1000 }, others: [] });
});

t.test('a detail that is not of its type is among the others', async (t) => {
  const duration = (seconds: unknown, nanos = 0) => encode('RetryInfo', { retry_delay: { seconds, nanos } });
  const bad: [type: string, value: Buffer][] = [
    ['RetryInfo', duration(-1)],
    ['RetryInfo', duration(0, -1)],
    ['RetryInfo', duration(0, 1_000_000_000)],
    ['RetryInfo', duration(315_576_000_001)],
    ['RetryInfo', Buffer.from([0x0a, 2, 0x08, 0xff])],
    ['RetryInfo', Buffer.from([0x0a, 9])],
    ['ErrorInfo', Buffer.from([0x0a, 1, 0xff])],
    ['ErrorInfo', Buffer.from([0x1a, 3, 0x0a, 1, 0xff])],
    ['ErrorInfo', Buffer.from([0x1a, 2, 0x0a, 9])],
    ['BadRequest', Buffer.from([0x0a, 3, 0x12, 1, 0xc0])],
    ['BadRequest', Buffer.from([0x0b])],
  ];
  for (const [type, value] of bad) {
    t.strictSame(readStatusDetails(received(encodeStatus(8, 'no', [type, value]))), {
      others: [{ typeUrl: typeUrl(type), value }],
    });
  }
});

t.test('keys of metadata that objects have are keys like any other', async (t) => {
  const value = Buffer.concat(
    ['__proto__', 'constructor'].map((key) =>
      Buffer.from([0x1a, key.length + 5, 0x0a, key.length, ...Buffer.from(key), 0x12, 1, 0x78]),
    ),
  );
  const { errorInfo } = readStatusDetails(received(encodeStatus(8, 'no', ['ErrorInfo', value])));
  t.strictSame(Object.entries(errorInfo!.metadata!), [
    ['__proto__', 'x'],
    ['constructor', 'x'],
  ]);
  t.equal(Object.getPrototypeOf(errorInfo!.metadata), Object.prototype);
});

t.test('where no details can be read there are none', async (t) => {
  const status = encodeStatus(8, 'no', ['RetryInfo', encode('RetryInfo', { retry_delay: { seconds: 1 } })]);
  const nothing = { others: [] };
  t.strictSame(readStatusDetails(failure()), nothing);
  t.strictSame(readStatusDetails(new Error('other')), nothing);
  t.strictSame(readStatusDetails(undefined), nothing);
  t.strictSame(readStatusDetails(received(status.subarray(0, -1))), nothing);
  t.strictSame(readStatusDetails(received(Buffer.concat([status, Buffer.of(0x08)]))), nothing);
  t.strictSame(readStatusDetails(received(Buffer.from('text'))), nothing);
  const noBase64 = StatusError.fromTrailers(['grpc-status', '8', TRAILER, 'no base64!']);
  t.strictSame(readStatusDetails(noBase64), nothing);
  const twice = StatusError.fromTrailers(['grpc-status', '8', TRAILER, `${status.toString('base64')},!`]);
  t.strictSame(readStatusDetails(twice).retryInfo, { delayMilliseconds: 1000 });
  const broken = failure();
  Object.defineProperty(broken, 'trailers', {
    get: () => {
      throw new Error('broken');
    },
  });
  t.strictSame(readStatusDetails(broken), nothing);
});

t.test('any bytes are details or none', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.constantFrom('RetryInfo', 'ErrorInfo', 'BadRequest', 'Help'),
        fc.uint8Array({ maxLength: 40 }),
        fc.boolean(),
        (type, bytes, isInside) => {
          const status = isInside ? encodeStatus(8, 'no', [type, bytes]) : bytes;
          const error = received(status);
          const details = readStatusDetails(error);
          // What was read can be sent on.
          withStatusDetails(error, details);
          if (isInside) assert.equal(Object.keys(details).length + details.others.length, 2);
        },
      ),
      { numRuns: 500 },
    ),
  );
});
