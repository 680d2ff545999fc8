import t from 'tap';
import type { FailedCall } from '../../lib/call/observer.js';
import { BackendLog } from '../../lib/cli/backend-log.js';
import { FailureLog } from '../../lib/cli/failure-log.js';
import { createLog, type Log } from '../../lib/cli/log.js';
import { LOG_LEVELS, type LogFormat, type LogLevel } from '../../lib/cli/log-options.js';
import { logWarnings } from '../../lib/cli/warning-log.js';
import {
  type ClientConn,
  Code,
  type ConnectivityState,
  dial,
  type FailureReason,
  StatusError,
} from '../../lib/index.js';
import { eventually } from '../support/eventually.js';
import { echo, GrpcBackend } from '../support/grpc-backend.js';

function logTo(lines: string[], format: LogFormat, level: LogLevel = 'info', name?: string): Promise<Log> {
  return createLog({ format, level, name }, (line) => lines.push(line));
}

t.test('as text an event is a line, with its level if it is no information', async (t) => {
  const lines: string[] = [];
  const log = await logTo(lines, 'text', 'debug');
  for (const level of LOG_LEVELS) log[level]('it is so');
  t.strictSame(lines, [
    'grpc-frame-proxy: error: it is so\n',
    'grpc-frame-proxy: warn: it is so\n',
    'grpc-frame-proxy: it is so\n',
    'grpc-frame-proxy: debug: it is so\n',
  ]);
  lines.length = 0;
  (await logTo(lines, 'text', 'info', 'process 7')).warn('here');
  t.strictSame(lines, ['grpc-frame-proxy: warn: process 7: here\n']);
});

t.test('as JSON an event is a line, too', async (t) => {
  const lines: string[] = [];
  (await logTo(lines, 'json', 'info', 'process 7')).warn('here\nand there');
  t.match(lines[0], /^[^\n]+\n$/);
  const { time, ...rest } = JSON.parse(lines[0]!);
  t.strictSame(rest, { level: 'warn', process: 'process 7', message: 'here\nand there' });
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

t.test('what is less than the level is not told', async (t) => {
  for (const format of ['text', 'json'] as const) {
    for (const [index, level] of LOG_LEVELS.entries()) {
      const lines: string[] = [];
      const log = await logTo(lines, format, level);
      for (const each of LOG_LEVELS) log[each]('it is so');
      t.equal(lines.length, index + 1, `${format}, ${level}`);
    }
  }
});

t.test('whatever is told, it commands no terminal and passes for no other event', async (t) => {
  const evil = 'a\u001b[2J\u009b31m\u0007\u007f\u202e\u2028\ngrpc-frame-proxy: forged\r\n\u0000Vögel “x”';
  for (const format of ['text', 'json'] as const) {
    const lines: string[] = [];
    (await logTo(lines, format)).info(evil);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that must not be there.
    t.notMatch(lines[0]!.slice(0, -1), /[\x00-\x1f\x7f-\x9f\u2028-\u202e]/, format);
    t.ok(lines[0]!.endsWith('\n'));
    if (format === 'json') t.equal(JSON.parse(lines[0]!).message, evil);
    else t.match(lines[0], 'Vögel “x”');
  }
});

function failedCall(reason: FailureReason, more: Partial<FailedCall> = {}, error?: StatusError): FailedCall {
  return {
    method: '/a.B/C',
    route: undefined,
    target: undefined,
    failure: { error: error ?? new StatusError(Code.UNAVAILABLE, 'no connection'), reason },
    ...more,
  } as FailedCall;
}

t.test('failed calls are a rate: the first of a kind at once, then counts', async (t) => {
  const lines: string[] = [];
  const failures = new FailureLog(await logTo(lines, 'text'));
  for (let i = 0; i < 1000; i++) {
    failures.add(failedCall('backend_connect', { route: 'writes', target: 'a:1' }));
    failures.add(failedCall('backend_connect', { route: 'writes', target: 'b:1' }));
    failures.add(failedCall('client_cancelled'));
  }
  t.strictSame(lines, [
    'grpc-frame-proxy: warn: /a.B/C by route writes to a:1 fails with UNAVAILABLE (backend_connect): no connection\n',
    'grpc-frame-proxy: warn: /a.B/C by route writes to b:1 fails with UNAVAILABLE (backend_connect): no connection\n',
  ]);
  failures.stop();
  t.match(lines.slice(2), [/to a:1 .*: 999 more times\n$/, /to b:1 .*: 999 more times\n$/]);
});

t.test('clients that make up names fill no log', async (t) => {
  const lines: string[] = [];
  const failures = new FailureLog(await logTo(lines, 'text'));
  for (let i = 0; i < 5000; i++) {
    failures.add(failedCall('backend_status', { method: `/a.B/\u001b[2J${'x'.repeat(10_000)}${i}` }));
    failures.add(failedCall('backend_status', { method: `/${i}/\u001b[2J` }));
  }
  failures.stop();
  t.ok(lines.length <= 2100, `${lines.length} lines`);
  t.ok(lines.every((line) => line.length < 1000));
});

t.test("an application's exception is told once, with its stack, in a line", async (t) => {
  const lines: string[] = [];
  const failures = new FailureLog(await logTo(lines, 'text'));
  for (let i = 0; i < 3; i++) {
    const error = StatusError.from(new TypeError('of the director'));
    failures.add(failedCall('director', {}, error));
  }
  t.equal(lines.length, 1);
  t.match(lines[0], /UNKNOWN \(director\): TypeError: of the director \| at .*log\.test\.[jt]s:\d+:\d+.*\n$/);
  failures.stop();
});

/** A connection whose state the test decides. */
class FakeConn {
  readonly target = 'a:1';
  state: ConnectivityState = { name: 'IDLE' };
  #wake: (() => void)[] = [];

  async become(state: ConnectivityState): Promise<void> {
    this.state = state;
    for (const wake of this.#wake.splice(0)) wake();
    await new Promise(setImmediate);
  }

  async waitForStateChange(from: string, signal: AbortSignal): Promise<ConnectivityState> {
    while (this.state.name === from) {
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      signal.throwIfAborted();
    }
    return this.state;
  }
}

t.test('a backend that becomes, or ceases to be, reachable is told, and why', async (t) => {
  const lines: string[] = [];
  const log = new BackendLog(await logTo(lines, 'text'));
  const conn = new FakeConn();
  const down = (message: string): ConnectivityState => ({
    name: 'TRANSIENT_FAILURE',
    error: new StatusError(Code.UNAVAILABLE, message),
  });
  log.watch(new Map([['files', conn as unknown as ClientConn]]));
  await conn.become({ name: 'CONNECTING' });
  await conn.become({ name: 'READY' });
  await conn.become({ name: 'IDLE' });
  await conn.become({ name: 'CONNECTING' });
  await conn.become({ name: 'READY' });
  await conn.become(down('refused'));
  await conn.become({ name: 'CONNECTING' });
  await conn.become(down('refused'));
  await conn.become({ name: 'READY' });
  const told = [
    'grpc-frame-proxy: backend files (a:1) is reachable\n',
    'grpc-frame-proxy: warn: backend files (a:1) is not reachable: refused\n',
    'grpc-frame-proxy: backend files (a:1) is reachable\n',
  ];
  t.strictSame(lines, told);
  log.stop();
  await conn.become(down('later'));
  t.strictSame(lines, told, 'nothing once nobody looks on');
});

t.test('a real backend: unreachable, then reachable', async (t) => {
  const lines: string[] = [];
  const log = new BackendLog(await logTo(lines, 'text'));
  const backend = await GrpcBackend.start({ '/test.Echo/Echo': echo });
  t.teardown(() => backend.destroy());
  const [there, nobody] = [dial(`127.0.0.1:${backend.port}`), dial('127.0.0.1:1')];
  t.teardown(() => [there, nobody].map((conn) => conn.destroy()));
  log.watch(
    new Map([
      ['there', there],
      ['nobody', nobody],
    ]),
  );
  there.connect();
  nobody.connect();
  await eventually('both are told', () => lines.length === 2);
  t.match(
    lines.sort().join(''),
    /backend there .* is reachable\n.*warn: backend nobody .*127\.0\.0\.1:1.*refused/s,
  );
  log.stop();
});

t.test('process warnings go to the log, each kind once', async (t) => {
  const lines: string[] = [];
  const before = process.listeners('warning');
  t.teardown(() => {
    process.removeAllListeners('warning');
    for (const listener of before) process.on('warning', listener);
  });
  logWarnings(await logTo(lines, 'text'));
  t.notOk(
    process.listeners('warning').some(({ name }) => name === 'onWarning'),
    'and not to Node’s',
  );
  for (let i = 0; i < 3; i++) process.emitWarning(new Error('of the \u001b[2J hook'));
  await new Promise(setImmediate);
  t.equal(lines.length, 1);
  t.match(lines[0], /^grpc-frame-proxy: warn: Error: of the \?\[2J hook: at .*log\.test/);
});
