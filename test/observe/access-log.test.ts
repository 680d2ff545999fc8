import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { Code, type RunningCall, type Server, StatusError, type StreamDirector } from '../../lib/index.js';
import { type AccessLog, type AccessLogOptions, accessLog } from '../../lib/observe/access-log/index.js';
import { RunningLines } from '../../lib/observe/access-log/running-lines.js';
import { Refusal } from '../../lib/proxy/refusal.js';
import { Authority } from '../support/authority.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { outcome, runningCall } from '../support/fake-calls.js';
import { GrpcClient } from '../support/grpc-client.js';
import { respond } from '../support/http2-backend.js';
import { MESSAGE, METHOD, ok } from '../support/unary.js';

const { NGHTTP2_CANCEL } = http2.constants;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

type Fields = Record<string, unknown>;

async function logOf(
  t: Test,
  server: Pick<Server, 'observe' | 'runningCalls'>,
  options: Partial<AccessLogOptions> = {},
): Promise<{ log: AccessLog; lines: () => Fields[]; next: () => Promise<Fields> }> {
  const directory = await mkdtemp(join(tmpdir(), 'access-log-'));
  const file = join(directory, 'log');
  const log = accessLog(server, { file, ...options });
  t.teardown(async () => {
    await log.close();
    await rm(directory, { recursive: true });
  });
  const lines = (): Fields[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((each) => JSON.parse(each) as Fields);
  let taken = 0;
  const next = async (): Promise<Fields> => {
    await eventually('there is a line more', () => lines().length > taken);
    return lines()[taken++]!;
  };
  return { log, lines, next };
}

/** A proxy whose calls are logged. */
async function logged(
  t: Test,
  world: World,
  director: StreamDirector,
  options: Partial<AccessLogOptions> = {},
) {
  const { server, port } = await world.proxy(director);
  return { server, port, ...(await logOf(t, server, options)) };
}

behaviour('a call that ends OK has one line, which says all about it', async (t, world) => {
  const [primary, secondary, shadow] = await Promise.all(
    [ok, ok, ok].map((each) => world.http2Backend(each)),
  );
  const [conn, second, third] = [primary, secondary, shadow].map((each) => world.dial(each!.port));
  const { port, next, lines } = await logged(t, world, () => ({
    primary: { conn: conn! },
    secondaries: [{ conn: second! }],
    shadows: [{ conn: third! }],
    route: 'the way',
  }));
  await world.http2Client(port).call(METHOD, MESSAGE, {
    'grpc-timeout': '5S',
    traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
  });
  const line = await next();
  t.match(line, {
    'grpc.service': 'test.Service',
    'grpc.method': 'Method',
    'grpc.code': 'OK',
    'peer.address': /^127\.0\.0\.1:\d+$/,
    route: 'the way',
    primary: conn!.target,
    attempts: 1,
    messages_received: 1,
    messages_sent: 1,
    bytes_received: MESSAGE.length - 5,
    bytes_sent: MESSAGE.length - 5,
    trace_id: TRACE,
    secondaries: [{ target: second!.target, code: 'OK' }],
    shadows: [{ target: third!.target, result: /^(ok|running)$/ }],
  });
  t.notOk('reason' in line || 'grpc.error' in line || 'running' in line);
  const [time, firstByte] = [Number(line['grpc.time_ms']), Number(line.first_byte_ms)];
  t.ok(time > 0 && firstByte > 0 && firstByte <= time, `${firstByte} of ${time} ms`);
  const left = Date.parse(String(line['grpc.request.deadline'])) - Date.now();
  t.ok(left > 3000 && left <= 5000, `${left} ms are left`);
  await pause(30);
  t.equal(lines().length, 1);
});

behaviour('the line of a failed call says who failed it, and why', async (t, world) => {
  const silent = await world.http2Backend(() => {});
  const refuses = await world.http2Backend(({ stream }) =>
    respond(stream, MESSAGE, { 'grpc-status': '9', 'grpc-message': 'not %1B[2J now' }),
  );
  const resets = await world.http2Backend(({ stream }) =>
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
  );
  const fine = await world.http2Backend(ok);
  const conns = {
    silent: world.dial(silent.port),
    status: world.dial(refuses.port),
    reset: world.dial(resets.port),
    nobody: world.dial(1),
    fine: world.dial(fine.port),
  };
  const { port, next } = await logged(t, world, ({ metadata }) => {
    const to = String(metadata.get('x-to'));
    if (to === 'director') throw new Error('of the director');
    if (to === 'rejected') throw Refusal.by(Code.PERMISSION_DENIED, 'no', 'rejected', 'internal');
    if (to === 'no_route') throw Refusal.by(Code.UNIMPLEMENTED, 'unknown service', 'no_route');
    if (to === 'secondary') return { primary: { conn: conns.fine }, secondaries: [{ conn: conns.status }] };
    if (to === 'finalizer') {
      const requestFinalizer = () => {
        throw new StatusError(Code.DATA_LOSS, 'lost');
      };
      return { primary: { conn: conns.fine }, requestFinalizer };
    }
    return { primary: { conn: conns[to as keyof typeof conns] } };
  });
  const client = world.http2Client(port);
  const of = async (to: string, more: Record<string, string> = {}): Promise<Fields> => {
    await client.call(METHOD, MESSAGE, { 'x-to': to, ...more });
    return next();
  };
  t.match(await of('status'), {
    'grpc.code': 'FAILED_PRECONDITION',
    'grpc.error': 'not \u001b[2J now',
    reason: 'backend_status',
    primary: conns.status.target,
    attempts: 1,
  });
  const reset = await of('reset');
  t.match(reset, { 'grpc.code': 'INTERNAL', reason: 'backend_reset' });
  t.match(await of('nobody'), { 'grpc.code': 'UNAVAILABLE', reason: 'backend_connect', attempts: 0 });
  t.match(await of('silent', { 'grpc-timeout': '30m' }), {
    'grpc.code': 'DEADLINE_EXCEEDED',
    reason: 'deadline',
  });
  t.match(await of('director'), {
    'grpc.code': 'UNKNOWN',
    reason: 'director',
    'grpc.error': 'of the director',
  });
  t.match(await of('rejected'), { 'grpc.code': 'PERMISSION_DENIED', reason: 'rejected', route: 'internal' });
  t.match(await of('no_route'), { 'grpc.code': 'UNIMPLEMENTED', reason: 'no_route' });
  t.match(await of('finalizer'), { 'grpc.code': 'DATA_LOSS', reason: 'finalizer' });
  t.match(await of('secondary'), {
    'grpc.code': 'INTERNAL',
    reason: 'secondary',
    secondaries: [{ target: conns.status.target, code: 'FAILED_PRECONDITION', reason: 'backend_status' }],
  });
  const cancelled = client.open(METHOD, { 'x-to': 'silent' }, true);
  cancelled.write(MESSAGE);
  await new Promise((resolve) => silent.server.once('stream', resolve));
  cancelled.close(NGHTTP2_CANCEL);
  t.match(await next(), { 'grpc.code': 'CANCELLED', reason: 'client_cancelled' });
  client.open(METHOD, { 'x-to': 'silent' }).write(MESSAGE);
  await new Promise((resolve) => silent.server.once('stream', resolve));
  client.destroy();
  t.match(await next(), {
    'grpc.code': 'CANCELLED',
    reason: 'client_gone',
    'peer.address': /^127\.0\.0\.1:\d+$/,
  });
});

behaviour("the client's certificate says who it is", async (t, world) => {
  const authority = new Authority();
  const home = authority.issue({ name: 'home', altNames: ['DNS:localhost'] });
  const spiffe = 'spiffe://example.test/ns/a';
  const member = authority.issue({ name: 'member', altNames: ['DNS:member.test', `URI:${spiffe}`] });
  const { server, port } = await world.serve({
    unknownServiceHandler: () => {},
    tls: { ...home, ca: authority.cert, requestCert: true },
  });
  const { next } = await logOf(t, server);
  const credentials = grpc.credentials.createSsl(
    ...([authority.cert, member.key, member.cert].map((each) => Buffer.from(each)) as [
      Buffer,
      Buffer,
      Buffer,
    ]),
  );
  const client = new GrpcClient(`localhost:${port}`, credentials);
  t.teardown(() => client.close());
  await client.call(METHOD, []);
  const line = await next();
  t.equal(line['peer.identity'], spiffe);
  t.notOk('primary' in line, 'it was handled here');
});

behaviour('a call that still runs has a line each interval, and then its own', async (t, world) => {
  const silent = await world.http2Backend(({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(MESSAGE);
  });
  const conn = world.dial(silent.port);
  const { port, next } = await logged(t, world, () => ({ primary: { conn } }), {
    runningIntervalMilliseconds: 60,
  });
  const stream = world.http2Client(port).open(METHOD, {}, true);
  stream.write(MESSAGE);
  let last = 0;
  for (let i = 1; i <= 2; i++) {
    const line = await next();
    t.match(line, { running: true, 'grpc.method': 'Method', primary: conn.target, messages_received: 1 });
    t.notOk('grpc.code' in line);
    const time = Number(line['grpc.time_ms']);
    t.ok(Math.floor(time / 60) > Math.floor(last / 60), `after ${time} ms`);
    last = time;
  }
  stream.close(NGHTTP2_CANCEL);
  let line = await next();
  // It may have been due once more.
  while (line.running === true) line = await next();
  t.match(line, { 'grpc.code': 'CANCELLED' });
});

t.test('a sample is of the calls that end OK; failures always are logged', async (t) => {
  let observer: Parameters<Server['observe']>[0] | undefined;
  const server = {
    observe(given: typeof observer): void {
      observer = given;
    },
    runningCalls: [],
  };
  const failure = { error: new StatusError(Code.INTERNAL, ''), reason: 'handler' } as const;
  for (const [sample, least, most] of [
    [0, 0, 0],
    [0.25, 150, 350],
    [1, 1000, 1000],
  ] as const) {
    const { log, lines } = await logOf(t, server, { sample });
    for (let i = 0; i < 1000; i++) observer?.onCall?.(outcome());
    for (let i = 0; i < 100; i++) observer?.onCall?.(outcome({ failure }));
    await log.close();
    const found = lines().filter((line) => line['grpc.code'] === 'OK').length;
    t.ok(found >= least && found <= most, `${found} of ${sample}`);
    t.equal(lines().length - found, 100);
  }
});

t.test('`await using` writes what waits, and closes the log', async (t) => {
  let observer: Parameters<Server['observe']>[0] | undefined;
  const server = {
    observe(given: typeof observer): void {
      observer = given;
    },
    runningCalls: [],
  };
  const { log, lines } = await logOf(t, server);
  {
    await using closing = log;
    observer?.onCall?.(outcome());
    t.equal(closing.dropped, 0);
  }
  t.equal(lines().length, 1);
  observer?.onCall?.(outcome());
  t.equal(log.dropped, 1);
});

t.test('options that make no sense are told at once', async (t) => {
  const server = { observe() {}, runningCalls: [] };
  const cases: [Partial<AccessLogOptions>, RegExp][] = [
    [{ file: '' }, /file must be a path/],
    [{ file: 1 as unknown as string }, /file must be a path/],
    [{ sample: 1.1 }, /sample must be from 0 to 1, not 1.1/],
    [{ sample: Number.NaN }, /sample must be from 0 to 1/],
    [{ sample: '1' as unknown as number }, /sample must be a number/],
    [{ runningIntervalMilliseconds: 0 }, /runningIntervalMilliseconds must be from 1/],
    [{ runningIntervalMilliseconds: 2 ** 31 }, /runningIntervalMilliseconds must be from 1/],
    [{ onDropped: 'x' as unknown as () => void }, /onDropped must be a function/],
  ];
  for (const [options, message] of cases) {
    t.throws(() => accessLog(server, { file: '/dev/null', ...options }), { message });
  }
});

t.test('an error that cannot be read costs its own line only', async (t) => {
  let observer: Parameters<Server['observe']>[0] | undefined;
  const server = {
    observe(given: typeof observer): void {
      observer = given;
    },
    runningCalls: [],
  };
  const { log, lines } = await logOf(t, server);
  const error = new StatusError(Code.INTERNAL, '');
  Object.defineProperty(error, 'message', {
    get() {
      throw new Error('no');
    },
  });
  observer?.onCall?.(outcome({ failure: { error, reason: 'director' } }));
  observer?.onCall?.(outcome());
  await log.close();
  t.equal(log.dropped, 1);
  t.equal(lines().length, 1);
});

t.test('an error that ends another call when it is read tears no line', async (t) => {
  let observer: Parameters<Server['observe']>[0] | undefined;
  const server = {
    observe(given: typeof observer): void {
      observer = given;
    },
    runningCalls: [],
  };
  const { log, lines } = await logOf(t, server);
  const error = new StatusError(Code.INTERNAL, '');
  Object.defineProperty(error, 'message', {
    get() {
      observer?.onCall?.(outcome({ route: 'inner' }));
      return 'outer';
    },
  });
  observer?.onCall?.(outcome({ failure: { error, reason: 'director' } }));
  observer?.onCall?.(outcome({ route: 'next' }));
  await log.close();
  t.match(lines(), [{ 'grpc.error': 'outer' }, { route: 'next' }]);
  t.equal(lines().length, 2);
  t.equal(log.dropped, 1);
});

t.test('10 000 calls that run are spread over turns, without those that end meanwhile', async (t) => {
  const calls: RunningCall[] = Array.from({ length: 10_000 }, (_, i) => runningCall(1_000_400 - i / 1000));
  calls.push(runningCall(-60_000));
  const written = new Set<RunningCall>();
  const perTurn: number[] = [0];
  const lines = new RunningLines({ runningCalls: calls }, 1000, (call) => {
    if (written.has(call)) throw new Error('a call has two lines');
    written.add(call);
    perTurn[perTurn.length - 1]!++;
  });
  const turn = (): void => {
    perTurn.push(0);
    if (written.size < 9999) setImmediate(turn);
  };
  await eventually('it begins', () => written.size > 0);
  turn();
  lines.onEnded(calls[9000]!.context);
  await eventually('all have a line', () => written.size >= 9999);
  lines.stop();
  t.notOk(written.has(calls[9000]!), 'it had ended');
  t.notOk(written.has(calls[10_000]!), 'it has not run for long');
  t.ok(Math.max(...perTurn) <= 400, `${Math.max(...perTurn)} in a turn`);
});
