import fc from 'fast-check';
import t from 'tap';
import { decodeHealthCheckResponse, encodeHealthCheckRequest } from '../../lib/grpc/health.js';

t.test('a request names the service; the whole server has the empty name, which is not sent', (t) => {
  t.equal(encodeHealthCheckRequest('').length, 0);
  t.same(encodeHealthCheckRequest('a.B'), Buffer.from([0x0a, 3, ...Buffer.from('a.B')]));
  t.same(encodeHealthCheckRequest('x'.repeat(300)).subarray(0, 4), Buffer.from([0x0a, 0xac, 0x02, 0x78]));
  t.end();
});

t.test('a response tells a status; what is not said, or not known, is UNKNOWN', (t) => {
  const cases: [number[], string][] = [
    [[], 'UNKNOWN'],
    [[8, 0], 'UNKNOWN'],
    [[8, 1], 'SERVING'],
    [[8, 2], 'NOT_SERVING'],
    [[8, 3], 'SERVICE_UNKNOWN'],
    [[8, 77], 'UNKNOWN'],
    [[8, 2, 8, 1], 'SERVING'],
  ];
  for (const [bytes, status] of cases) t.equal(decodeHealthCheckResponse(Buffer.from(bytes)), status);
  t.end();
});

t.test('fields of later versions are passed over', (t) => {
  const others = [
    [0x10, 0x96, 0x01],
    [0x1a, 2, 8, 2],
    [0x21, 255, 255, 255, 255, 255, 255, 255, 255],
    [0x2d, 1, 2, 3, 4],
  ];
  for (const other of others) {
    t.equal(decodeHealthCheckResponse(Buffer.from([...other, 8, 1])), 'SERVING');
    t.equal(decodeHealthCheckResponse(Buffer.from([8, 1, ...other])), 'SERVING');
  }
  t.end();
});

t.test('any bytes are a status or a RangeError', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      try {
        decodeHealthCheckResponse(Buffer.from(bytes));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }),
  );
  t.throws(() => decodeHealthCheckResponse(Buffer.from([8])), RangeError);
  t.throws(() => decodeHealthCheckResponse(Buffer.from([0x0a, 5, 1])), RangeError);
  t.throws(() => decodeHealthCheckResponse(Buffer.from([0x0b, 0])), RangeError);
  t.end();
});
