import fc from 'fast-check';
import t from 'tap';
import { now } from '../../lib/call/clock.js';
import { type CallOutcome, Code, type PeerCertificate, StatusError } from '../../lib/index.js';
import { CallLines } from '../../lib/observe/access-log/call-lines.js';
import { identityOf } from '../../lib/observe/access-log/identity.js';
import { jsonText, TextCache } from '../../lib/observe/access-log/json-text.js';
import { LineBytes, MAX_LINE_BYTES } from '../../lib/observe/access-log/line-bytes.js';
import { traceIdOf } from '../../lib/observe/access-log/trace-id.js';
import { TimeText, WallClock } from '../../lib/observe/access-log/wall-clock.js';
import { destination, failed, failure, outcome, runningCall } from '../support/fake-calls.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** What is written to a line. */
function written(write: (line: LineBytes) => void): string {
  const line = new LineBytes(2 * MAX_LINE_BYTES);
  write(line);
  return line.between(0, line.at).toString('latin1');
}

function lineOf(call: CallOutcome, lines = new CallLines()): string {
  return written((line) => lines.ended(call, line));
}

function parsed(line: string): Record<string, unknown> {
  return JSON.parse(line) as Record<string, unknown>;
}

t.test('a line has the fields of the contract, in its order', async (t) => {
  const line = lineOf(
    failed(Code.NOT_FOUND, 'backend_status', {
      headers: ['traceparent', `00-${TRACE}-00f067aa0ba902b7-01`],
      deadline: now() + 5000,
      route: 'writes',
      headersMilliseconds: 1.25,
      destinations: [
        destination({ target: 'http://10.0.0.8:50051', attempts: 2 }),
        destination({ role: 'secondary', target: 'b:1', failure: failure(Code.INTERNAL, 'backend_reset') }),
        destination({ role: 'secondary', target: 'c:1' }),
        destination({ role: 'secondary', target: 'd:1', isRunning: true }),
      ],
      shadows: [
        { ...destination({ role: 'shadow', target: 'e:1' }), result: 'running' },
        { ...destination({ role: 'shadow', target: 'f:1' }), result: 'ok' },
        {
          ...destination({
            role: 'shadow',
            target: 'g:1',
            failure: failure(Code.RESOURCE_EXHAUSTED, 'limit'),
          }),
          result: 'lagged',
        },
      ],
    }),
  );
  t.ok(line.endsWith('}\n'));
  t.equal(line.indexOf('\n'), line.length - 1);
  const fields = parsed(line);
  t.strictSame(Object.keys(fields), [
    'time',
    'grpc.service',
    'grpc.method',
    'grpc.code',
    'grpc.error',
    'grpc.time_ms',
    'grpc.request.deadline',
    'peer.address',
    'route',
    'primary',
    'attempts',
    'reason',
    'messages_received',
    'messages_sent',
    'bytes_received',
    'bytes_sent',
    'first_byte_ms',
    'trace_id',
    'secondaries',
    'shadows',
  ]);
  t.match(fields, {
    time: RFC_3339,
    'grpc.service': 'test.Service',
    'grpc.method': 'Method',
    'grpc.code': 'NOT_FOUND',
    'grpc.error': 'what went wrong',
    'grpc.time_ms': 1.5,
    'grpc.request.deadline': RFC_3339,
    'peer.address': '10.0.0.7:50123',
    route: 'writes',
    primary: 'http://10.0.0.8:50051',
    attempts: 2,
    reason: 'backend_status',
    messages_received: 1,
    messages_sent: 2,
    bytes_received: 3,
    bytes_sent: 4,
    first_byte_ms: 1.25,
    trace_id: TRACE,
  });
  t.strictSame(fields.secondaries, [
    { target: 'b:1', code: 'INTERNAL', reason: 'backend_reset' },
    { target: 'c:1', code: 'OK' },
    { target: 'd:1', running: true },
  ]);
  t.strictSame(fields.shadows, [
    { target: 'e:1', result: 'running' },
    { target: 'f:1', result: 'ok', code: 'OK' },
    { target: 'g:1', result: 'lagged', code: 'RESOURCE_EXHAUSTED', reason: 'limit' },
  ]);
  const untilDeadline = Date.parse(String(fields['grpc.request.deadline'])) - Date.now();
  t.ok(untilDeadline > 4000 && untilDeadline <= 5000, `in ${untilDeadline} ms`);
  t.ok(Math.abs(Date.parse(String(fields.time)) - Date.now()) < 1000);
});

t.test('what there is none of is left out: no reason for OK', async (t) => {
  t.strictSame(Object.keys(parsed(lineOf(outcome()))), [
    'time',
    'grpc.service',
    'grpc.method',
    'grpc.code',
    'grpc.time_ms',
    'peer.address',
    'messages_received',
    'messages_sent',
    'bytes_received',
    'bytes_sent',
  ]);
});

t.test('the line of a call that runs says so, and knows no status', async (t) => {
  const call = runningCall(2500, { destinations: [destination()], headersMilliseconds: 3 });
  const fields = parsed(written((line) => new CallLines().running(call, line)));
  t.equal(fields.running, true);
  t.notOk('grpc.code' in fields || 'reason' in fields);
  t.match(fields, { 'grpc.method': 'Method', primary: '127.0.0.1:1', first_byte_ms: 3 });
  t.ok(Number(fields['grpc.time_ms']) >= 2500);
});

t.test(
  'whatever clients, backends and directors say, a line is one of printable ASCII, and bounded',
  async () => {
    const lines = new CallLines();
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 5000 }), fc.string({ unit: 'grapheme' }));
    const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 300 });
    const anything = fc.oneof(
      text,
      units.map((codes) => String.fromCharCode(...codes)),
    );
    fc.assert(
      fc.property(anything, anything, fc.nat(60), (one, other, count) => {
        const error = new StatusError(Code.UNKNOWN, other);
        const others = Array.from({ length: count }, () => destination({ target: one + other }));
        const line = lineOf(
          outcome({
            method: `/${one}/${other}`,
            route: one,
            failure: { error, reason: 'backend_status' },
            destinations: [destination({ target: other }), ...others],
            shadows: others.map((each) => ({ ...each, result: 'error' })),
          }),
          lines,
        );
        if (!/^[\x20-\x7e]+\n$/.test(line)) throw new Error(`not printable: ${JSON.stringify(line)}`);
        if (line.length > MAX_LINE_BYTES) throw new Error(`${line.length} bytes`);
        const fields = parsed(line) as Record<string, string>;
        for (const name of ['grpc.service', 'grpc.method', 'grpc.error', 'route', 'primary']) {
          if (Buffer.from(fields[name]!).toString() !== fields[name])
            throw new Error(`${name} is not well-formed`);
        }
      }),
      { numRuns: 150 },
    );
  },
);

t.test('a text is kept as it is, where it is not too long', async (t) => {
  for (const text of ['plain', 'a "b" \\ c', 'tab\tnew\nline', 'Vögel 🐦', '\u009b31m\u007f\u2028', '']) {
    t.equal(JSON.parse(`"${jsonText(text, 1000)}"`), text);
  }
  t.equal(jsonText('x'.repeat(100), 10), 'x'.repeat(10));
  t.equal(jsonText('ab"cd', 3), 'ab', 'no escape is cut in two');
  t.equal(jsonText(`a${'🐦'.repeat(5)}`, 14), 'a\\ud83d\\udc26', 'nor a surrogate pair');
  t.equal(jsonText('\ud83d!', 100), '\\ufffd!');
});

t.test('names that clients make up are forgotten', async (t) => {
  let made = 0;
  const cache = new TextCache((key) => {
    made++;
    return key.toUpperCase();
  });
  cache.of('kept');
  for (let i = 0; i < 10_000; i++) {
    cache.of(`name ${i}`);
    if (i % 100 === 0) t.equal(cache.of('kept'), 'KEPT');
  }
  t.equal(made, 10_001, 'what is used stays');
  cache.of('name 0');
  t.equal(made, 10_002);
  cache.of('x'.repeat(1000));
  cache.of('x'.repeat(1000));
  t.equal(made, 10_004, 'what is long is not kept at all');
});

t.test('methods that are none have a line, too', async (t) => {
  const names = (method: string) => {
    const fields = parsed(lineOf(outcome({ method })));
    return [fields['grpc.service'], fields['grpc.method']];
  };
  t.strictSame(names('/a.B/C'), ['a.B', 'C']);
  t.strictSame(names('/nonsense'), ['', 'nonsense']);
  t.strictSame(names('/a/b/c'), ['a/b', 'c']);
  t.strictSame(names('/'), ['', '']);
  t.strictSame(names(''), ['', '']);
  t.strictSame(
    names('a.B/C'),
    ['a.B', 'C'].map((name, i) => (i === 0 ? name.slice(1) : name)),
  );
});

t.test('an error that the application has changed to nonsense', async (t) => {
  const error = new StatusError(Code.NOT_FOUND, 'text');
  Object.assign(error, { code: 'nonsense', message: { not: 'text' } });
  const fields = parsed(lineOf(outcome({ failure: { error, reason: 'director' } })));
  t.match(fields, { 'grpc.code': 'UNKNOWN', 'grpc.error': '' });
});

t.test('each reason of the library is the word of the line', async (t) => {
  for (const reason of [
    'client_protocol',
    'handler',
    'finalizer',
    'no_route',
    'rejected',
    'draining',
  ] as const) {
    t.equal(parsed(lineOf(failed(Code.UNKNOWN, reason))).reason, reason);
  }
});

t.test('times are RFC 3339 in UTC with milliseconds', async (t) => {
  const text = new TimeText();
  for (const time of [0, 999, 1000, 1_700_000_000_123.9, 1_700_000_000_124, 951_782_400_000]) {
    t.equal(
      written((line) => text.write(time, line)),
      new Date(Math.floor(time)).toISOString(),
    );
  }
  t.equal(
    written((line) => text.write(1e300, line)),
    '9999-12-31T23:59:59.999Z',
  );
  t.equal(
    written((line) => text.write(-1, line)),
    '1970-01-01T00:00:00.000Z',
  );
  const far = outcome({ deadline: now() + 99_999_999 * 3_600_000 });
  t.match(parsed(lineOf(far)), { 'grpc.request.deadline': '9999-12-31T23:59:59.999Z' });
  t.notOk('grpc.request.deadline' in parsed(lineOf(outcome({ deadline: Infinity }))));
});

t.test('the wall clock may be set', async (t) => {
  const clock = new WallClock();
  const { now: wallNow } = Date;
  t.teardown(() => {
    Date.now = wallNow;
  });
  let time = now();
  for (const hours of [0, 1, -2]) {
    Date.now = () => wallNow() + hours * 3_600_000;
    time += 200;
    // Written 200 ms later each time, without waiting for that.
    const before = Date.now();
    const [told, at] = [clock.of(time), now()];
    const difference = told - (before + (time - at));
    t.ok(difference > -100 && difference < 100, `${difference} ms off, after ${hours} hours`);
  }
});

t.test('numbers are those of JSON', async (t) => {
  for (const count of [
    0,
    1,
    9,
    10,
    99,
    100,
    999,
    1000,
    1001,
    65_535,
    2 ** 31,
    2 ** 32 + 1,
    2 ** 53 - 1,
    2 ** 60,
  ]) {
    t.equal(
      written((line) => line.count(count)),
      JSON.stringify(count),
    );
  }
  for (const time of [
    0, 0.0004, 0.0005, 0.001, 0.0996, 0.9994, 0.9996, 1, 1.05, 999.9996, 60_000.123, 1e9, -1,
  ]) {
    const expected = (Math.round(Math.max(0, time) * 1000) / 1000).toFixed(3);
    t.equal(
      written((line) => line.milliseconds(time)),
      expected,
    );
  }
});

t.test('only a valid traceparent names a trace', async (t) => {
  const idOf = (...values: string[]) =>
    traceIdOf(['a', 'b', ...values.flatMap((each) => ['traceparent', each])]);
  const valid = `00-${TRACE}-00f067aa0ba902b7-01`;
  t.equal(idOf(valid), TRACE);
  t.equal(idOf(`01-${TRACE}-00f067aa0ba902b7-01-what-comes-with-it`), TRACE);
  for (const wrong of [
    '',
    `ff-${TRACE}-00f067aa0ba902b7-01`,
    `${valid}-more`,
    `${valid}0`,
    `01-${TRACE}-00f067aa0ba902b7-01.more`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    valid.toUpperCase(),
    valid.slice(0, -1),
    ` ${valid}`,
    'nonsense'.repeat(10_000),
  ]) {
    t.equal(idOf(wrong), undefined, wrong.slice(0, 70));
  }
  t.equal(idOf(valid, valid), undefined, 'two of them');
  t.equal(idOf(), undefined);
});

t.test(
  "a certificate's identity: the SPIFFE ID, else the first DNS name or URI, else the subject",
  async (t) => {
    const certificate = (...subjectAltNames: PeerCertificate['subjectAltNames']) =>
      ({ subject: 'CN=me', subjectAltNames }) as PeerCertificate;
    const dns = { kind: 'dns', value: 'me.test' } as const;
    const uri = { kind: 'uri', value: 'https://me.test' } as const;
    const spiffe = { kind: 'uri', value: 'spiffe://test/me' } as const;
    t.equal(identityOf(certificate(dns, uri, spiffe)), spiffe.value);
    t.equal(identityOf(certificate({ kind: 'ip', value: '::1' }, uri, dns)), uri.value);
    t.equal(identityOf(certificate({ kind: 'email', value: 'a@b' }, dns, uri)), dns.value);
    t.equal(identityOf(certificate({ kind: 'ip', value: '::1' })), 'CN=me');
  },
);
