import { setImmediate as turn } from 'node:timers/promises';
import { Counter, Registry } from 'prom-client';
import t from 'tap';
import { Code, type ResponseVerdict, StatusError } from '../../lib/index.js';
import { METRICS_LIMITS } from '../../lib/observe/metrics/defaults.js';
import {
  type MetricsOptions,
  metrics,
  type ObservedBackend,
  textOf,
} from '../../lib/observe/metrics/index.js';
import { Child } from '../support/child.js';
import { ProcessEvents } from '../support/process-events.js';
import { FakeServer } from './metrics-fakes.js';
import { Reading } from './metrics-reading.js';

const OPENMETRICS =
  'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1';
const STARTED = 'grpc_server_call_started_total';

function setUp(options: MetricsOptions = {}) {
  const server = new FakeServer();
  const counts = metrics(server, options);
  return { server, counts, read: (accept?: string) => Reading.of(counts, accept) };
}

const failed = (code: Code, reason = 'backend_status' as const) => ({
  failure: { error: new StatusError(code, 'failed'), reason },
});

t.test('every name of the contract is there, with its type', async (t) => {
  const { counts } = setUp({ processMetrics: true, backends: () => [] });
  const { body } = await counts.text();
  const { types } = new Reading(String(body));
  const names = {
    counter: [
      'grpc_server_call_started_total',
      'grpc_client_attempt_started_total',
      'grpc_server_msg_received_total',
      'grpc_server_msg_sent_total',
      ...[
        'shadow_calls_total',
        'compare_total',
        'backend_connection_failures_total',
        'backend_ejections_total',
        'retries_total',
        'config_reloads_total',
        'certificate_reloads_total',
        'access_log_dropped_total',
        'peers_refused_total',
        'health_checks_total',
      ].map((name) => `grpc_frame_proxy_${name}`),
      'process_cpu_seconds_total',
    ],
    histogram: ['grpc_server_call', 'grpc_client_attempt'].flatMap((name) => [
      `${name}_duration_seconds`,
      `${name}_sent_total_compressed_message_size_bytes`,
      `${name}_rcvd_total_compressed_message_size_bytes`,
    ]),
    gauge: [
      'grpc_frame_proxy_calls_running',
      'grpc_frame_proxy_backend_connections',
      'grpc_frame_proxy_build_info',
      'process_resident_memory_bytes',
      'process_open_fds',
      'nodejs_eventloop_lag_seconds',
      'nodejs_eventloop_lag_p99_seconds',
    ],
  };
  for (const [type, all] of Object.entries(names)) {
    for (const name of all) t.equal(types.get(name), type, name);
  }
});

t.test('the buckets are those of gRFC A66', async (t) => {
  const { server, read } = setUp();
  server.call('/a.B/C', { milliseconds: 1 });
  const reading = await read();
  const bounds = (name: string) => Object.keys(reading.all(name)).map((key) => key.split(' ').at(-1));
  t.equal(
    bounds('grpc_server_call_duration_seconds_bucket').join(' '),
    '0 0.00001 0.00005 0.0001 0.0003 0.0006 0.0008 0.001 0.002 0.003 0.004 0.005 0.006 0.008 0.01 0.013 0.016 0.02 ' +
      '0.025 0.03 0.04 0.05 0.065 0.08 0.1 0.13 0.16 0.2 0.25 0.3 0.4 0.5 0.65 0.8 1 2 5 10 20 50 100 +Inf',
  );
  t.equal(
    bounds('grpc_server_call_sent_total_compressed_message_size_bytes_bucket').join(' '),
    '0 1024 2048 4096 16384 65536 262144 1048576 4194304 16777216 67108864 268435456 1073741824 4294967296 +Inf',
  );
  const at = (le: string) =>
    reading.value('grpc_server_call_duration_seconds_bucket', {
      grpc_method: 'other',
      grpc_status: 'OK',
      le,
    });
  t.strictSame([at('0.0008'), at('0.001'), at('+Inf')], [0, 1, 1], 'a bound belongs to its bucket');
});

t.test('a method has its own label from the second call on after a backend has answered it', async (t) => {
  const { server, read } = setUp();
  for (let i = 0; i < 3; i++) server.call('/a.B/Ok');
  for (let i = 0; i < 3; i++) server.call('/a.B/NotFound', failed(Code.NOT_FOUND));
  for (let i = 0; i < 3; i++) server.call('/a.B/Unimplemented', failed(Code.UNIMPLEMENTED));
  for (let i = 0; i < 3; i++) {
    server.call('/a.B/Unreachable', {
      failure: { error: new StatusError(Code.UNAVAILABLE, 'no'), reason: 'backend_connect' },
    });
    server.call('/a.B/HandledHere', { destinations: [] });
    server.call('/a.B/StillRunning', {
      destinations: [{ role: 'primary', target: 'x', attempts: 1, failure: undefined, isRunning: true }],
    });
  }
  t.strictSame((await read()).all(STARTED), { 'a.B/Ok': 2, 'a.B/NotFound': 2, other: 14 });
});

t.test(
  'names that routes name have their label from the first call on, and after routes have changed',
  async (t) => {
    let names = ['a.B/One'];
    const { server, counts, read } = setUp({ methods: () => names, maxMethods: 0 });
    for (const path of ['/a.B/One', '/a.B/Two', '/a.B/Two']) server.call(path);
    names = ['a.B/Two'];
    server.call('/a.B/Two');
    counts.configReloaded('ok');
    server.call('/a.B/Two');
    server.call('/a.B/One');
    t.strictSame((await read()).all(STARTED), { 'a.B/One': 2, 'a.B/Two': 1, other: 3 });
    names = ['a.B/Three'];
    server.now += METRICS_LIMITS.routedNamesMilliseconds;
    server.call('/a.B/Three');
    t.strictSame((await read()).all(STARTED), { 'a.B/One': 2, 'a.B/Two': 1, 'a.B/Three': 1, other: 3 });
  },
);

t.test('what names methods may throw', async (t) => {
  const events = new ProcessEvents(t);
  const methods = (): never => {
    throw new Error('of the application');
  };
  const { server, read } = setUp({ methods });
  server.call('/a.B/One');
  t.strictSame((await read()).all(STARTED), { other: 1 });
  await events.settled();
  t.strictSame(events.warnings, ['of the application']);
});

t.test('no more than so many names are learnt, and names that come once take no place', async (t) => {
  const { server, read } = setUp({ maxMethods: 2 });
  for (let i = 0; i < 3000; i++) server.call(`/made.Up/Method${i}`);
  t.strictSame((await read()).values('grpc_method'), ['other']);
  for (const name of ['One', 'Two', 'Three']) for (let i = 0; i < 3; i++) server.call(`/a.B/${name}`);
  t.strictSame((await read()).all(STARTED), { 'a.B/One': 2, 'a.B/Two': 2, other: 3005 });
});

t.test('a name that came once is forgotten when enough others have come since', async (t) => {
  const { server, read } = setUp({ maxMethods: 10 });
  server.call('/a.B/Once');
  for (let i = 0; i < 21; i++) server.call(`/made.Up/Method${i}`);
  server.call('/a.B/Once');
  t.strictSame((await read()).all(STARTED), { other: 23 });
});

for (const accept of [undefined, OPENMETRICS]) {
  t.test(`hostile names do no harm, in ${accept === undefined ? 'text' : 'OpenMetrics'}`, async (t) => {
    const routed = 'routed.by/"quotes"\\and\nnewlines, ünicode 💥';
    const { server, read } = setUp({ methods: () => [routed] });
    const long = `/long.Name/${'x'.repeat(64 * 1024)}`;
    const paths = [
      '/quoted."Service"/Me\\thod{}',
      '/other',
      '/',
      '',
      'no.slash/Method',
      '/line\nbreak/Method',
      '/escape\u001b[31m/Method',
      '/ünicode/Method',
      '/__proto__',
      '/constructor',
      long,
      `/${'x'.repeat(200)}`,
      `/${'x'.repeat(201)}`,
      `/${routed}`,
    ];
    for (const path of paths) for (let i = 0; i < 2; i++) server.call(path);
    const reading = await read(accept);
    t.strictSame(reading.all(STARTED), {
      other: 2 * paths.length - 6,
      'quoted."Service"/Me\\thod{}': 1,
      __proto__: 1,
      constructor: 1,
      ['x'.repeat(200)]: 1,
      [routed]: 2,
    });
  });
}

t.test('targets are bounded', async (t) => {
  const { server, read } = setUp();
  for (let i = 0; i < METRICS_LIMITS.maxTargets + 10; i++) {
    const watcher = server.observer.onCallStarted?.({ method: '/a.B/C', startedAt: server.now } as never);
    for (let attempt = 1; attempt <= 2; attempt++) {
      watcher?.onDestination?.({ role: 'primary', target: `target ${i}` })?.onAttempt?.(attempt);
    }
  }
  const reading = await read();
  t.equal(reading.values('grpc_target').length, METRICS_LIMITS.maxTargets + 1);
  t.equal(reading.value('grpc_frame_proxy_retries_total', { grpc_target: 'other' }), 10);
  t.equal(reading.value('grpc_frame_proxy_retries_total', { grpc_target: 'target 0' }), 1);
});

t.test('an error whose code is nonsense is UNKNOWN', async (t) => {
  const { server, read } = setUp();
  for (const code of [0, 17, 1.5, '5', Number.NaN]) {
    const error = Object.defineProperty(new StatusError(Code.INTERNAL, 'odd'), 'code', { value: code });
    server.call('/a.B/C', { failure: { error, reason: 'interceptor' } });
  }
  const error = Object.defineProperty(new StatusError(Code.INTERNAL, 'odd'), 'code', {
    get() {
      throw new Error('hostile');
    },
  });
  server.call('/a.B/C', { failure: { error, reason: 'interceptor' } });
  t.strictSame((await read()).all('grpc_server_call_duration_seconds_count'), { 'other UNKNOWN': 6 });
});

t.test('message counts do not fall, even if a running call has had more than it ends with', async (t) => {
  const { server, read } = setUp();
  const end = server.begin('/a.B/C', 5);
  t.strictSame((await read()).all('grpc_server_msg_sent_total'), { other: 5 });
  Object.assign(server.runningCalls[0]!, { messagesSent: 2 });
  t.strictSame((await read()).all('grpc_server_msg_sent_total'), { other: 5 });
  end();
  t.strictSame((await read()).all('grpc_server_msg_sent_total'), { other: 5 });
});

t.test('an end that asks for metrics is not counted twice', async (t) => {
  const { server, counts } = setUp();
  const end = server.begin('/a.B/C', 3);
  let asked: Promise<unknown> | undefined;
  server.onEnded = () => {
    asked = counts.snapshot();
  };
  end();
  await asked;
  t.strictSame((await Reading.of(counts)).all('grpc_server_msg_sent_total'), { other: 3 });
});

t.test(
  'verdicts are counted by their results; noise is no difference, and the baseline is not judged',
  async (t) => {
    const { server, counts, read } = setUp({ methods: () => ['a.B/C'] });
    server.call('/a.B/C');
    const verdict = (result: string, role = 'shadow', method = '/a.B/C'): void =>
      counts.onVerdict({ method, target: 'new', role, result } as ResponseVerdict);
    for (const result of ['same', 'different', 'different', 'noise', 'inconclusive']) verdict(result);
    verdict('different', 'baseline');
    verdict('same', 'secondary', '/made.Up/Method');
    t.strictSame((await read()).all('grpc_frame_proxy_compare_total'), {
      'a.B/C new same': 2,
      'a.B/C new different': 2,
      'a.B/C new inconclusive': 1,
      'other new same': 1,
    });
  },
);

t.test(
  'refused clients are counted by reason, shadows by result, and secondaries not as shadows',
  async (t) => {
    const { server, read } = setUp();
    for (const reason of ['flood', 'flood', 'not_http2'] as const) {
      server.observer.onPeerRefused?.({ reason, peer: '', text: '' });
    }
    server.observer.onRefused?.({ httpStatus: 415, httpMethod: 'POST', path: '/', peer: '' });
    for (const role of ['shadow', 'secondary'] as const) {
      server.observer.onShadow?.({ role, target: 'new', result: 'lagged' } as never);
    }
    const reading = await read();
    t.strictSame(reading.all('grpc_frame_proxy_peers_refused_total'), {
      flood: 2,
      not_http2: 1,
      not_grpc: 1,
    });
    t.match(reading.all('grpc_frame_proxy_shadow_calls_total'), { 'new lagged': 1, 'new ok': 0 });
  },
);

t.test('what comes from elsewhere is counted', async (t) => {
  const { counts, read } = setUp({ transport: 'frames' });
  counts.configReloaded('ok');
  counts.configReloaded('failed');
  counts.configReloaded('failed');
  counts.certificateReloaded('ok');
  counts.accessLogDropped(3);
  counts.accessLogDropped(4);
  t.throws(() => counts.accessLogDropped(-1), RangeError);
  t.throws(() => counts.accessLogDropped(Number.NaN), RangeError);
  counts.healthChecked();
  const reading = await read();
  t.strictSame(reading.all('grpc_frame_proxy_config_reloads_total'), { ok: 1, failed: 2 });
  t.strictSame(reading.all('grpc_frame_proxy_certificate_reloads_total'), { ok: 1, failed: 0 });
  t.equal(reading.value('grpc_frame_proxy_access_log_dropped_total'), 7);
  t.equal(reading.value('grpc_frame_proxy_health_checks_total'), 1);
  const [[key, value]] = Object.entries(reading.all('grpc_frame_proxy_build_info')) as [[string, number]];
  t.equal(value, 1);
  t.match(key, new RegExp(`^${process.versions.node} frames \\d+\\.\\d+\\.\\d+`));
});

class FakeBackend implements ObservedBackend {
  state: ObservedBackend['state'] = { name: 'READY' };
  counts = { connectionFailures: 0, ejections: 0 };
  addresses: ObservedBackend['addresses'] = [];

  /** @param connections by the states of their addresses */
  constructor(...connections: readonly (readonly ['READY' | 'CONNECTING' | 'IDLE', number])[]) {
    this.addresses = connections.map(([name, number]) => ({
      address: 'x',
      state: { name },
      connections: number,
      calls: 0,
      isEjected: false,
      lastFailure: undefined,
    }));
  }

  close(): void {
    this.state = { name: 'SHUTDOWN' };
    this.addresses = [];
  }
}

t.test('connections to backends are told by the states of their addresses', async (t) => {
  const backends = [
    ['files', new FakeBackend(['READY', 2], ['READY', 3], ['CONNECTING', 1])],
    ['next', new FakeBackend(['IDLE', 0])],
  ] as const;
  const { read } = setUp({ backends: () => backends });
  t.match((await read()).all('grpc_frame_proxy_backend_connections'), {
    'files READY': 5,
    'files CONNECTING': 1,
    'files IDLE': 0,
    'files TRANSIENT_FAILURE': 0,
    'next READY': 0,
  });
});

t.test('what went wrong with connections stays counted when a reload replaces them', async (t) => {
  const [first, second, third] = [new FakeBackend(['READY', 1]), new FakeBackend(), new FakeBackend()];
  let current: readonly [string, ObservedBackend][] = [['files', first]];
  const { counts, read } = setUp({ backends: () => current });
  const told = async () => {
    const reading = await read();
    return [
      reading.value('grpc_frame_proxy_backend_connection_failures_total', { backend: 'files' }),
      reading.value('grpc_frame_proxy_backend_ejections_total', { backend: 'files' }),
    ];
  };
  t.strictSame(await told(), [0, 0]);
  first.counts = { connectionFailures: 3, ejections: 1 };
  t.strictSame(await told(), [3, 1]);
  current = [['files', second]];
  counts.configReloaded('ok');
  first.counts = { connectionFailures: 5, ejections: 1 };
  second.counts = { connectionFailures: 1, ejections: 0 };
  t.strictSame(await told(), [6, 1], 'of one that is being closed, too');
  current = [['files', third]];
  counts.configReloaded('ok');
  second.counts = { connectionFailures: 2, ejections: 0 };
  first.close();
  second.close();
  t.strictSame(await told(), [7, 1]);
  first.counts = { connectionFailures: 100, ejections: 100 };
  t.strictSame(await told(), [7, 1], 'of one that has closed nothing more comes');
  current = [];
  third.close();
  const reading = await read();
  t.strictSame(reading.all('grpc_frame_proxy_backend_connections'), {});
  t.strictSame(await told(), [7, 1]);
});

t.test('what names backends may throw', async (t) => {
  const events = new ProcessEvents(t);
  const backend = new FakeBackend();
  backend.counts = { connectionFailures: 3, ejections: 0 };
  let backends = (): Iterable<[string, ObservedBackend]> => [['files', backend]];
  const { read } = setUp({ backends: () => backends() });
  await read();
  backends = () => {
    throw new Error('of the application');
  };
  t.equal(
    (await read()).value('grpc_frame_proxy_backend_connection_failures_total', { backend: 'files' }),
    3,
  );
  await events.settled();
  t.strictSame(events.warnings, ['of the application']);
});

t.test('who asks for OpenMetrics is given it, and everybody else text', async (t) => {
  const { counts } = setUp();
  const accepts: Record<string, boolean> = {
    [OPENMETRICS]: true,
    'application/openmetrics-text': true,
    'Application/OpenMetrics-Text; Version=1.0.0': true,
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1': true,
    'application/openmetrics-text;version=2.0.0': false,
    'application/openmetrics-text;q=0': false,
    'application/openmetrics-text;q=nonsense': false,
    'application/openmetrics-text;q=0.3,text/plain;q=0.6': false,
    'text/html,*/*': false,
    '': false,
    ';;,,;q=': false,
  };
  for (const [accept, isOpenMetrics] of Object.entries(accepts)) {
    const { contentType, body } = await counts.text(accept);
    t.equal(
      contentType,
      isOpenMetrics
        ? 'application/openmetrics-text; version=1.0.0; charset=utf-8'
        : 'text/plain; version=0.0.4; charset=utf-8',
      accept,
    );
    t.equal(String(body).endsWith('\n# EOF\n'), isOpenMetrics);
  }
});

t.test('OpenMetrics has its own names of counters, and canonical bounds', async (t) => {
  const { server, counts } = setUp();
  server.call('/a.B/C');
  const { body } = await counts.text(OPENMETRICS);
  t.match(
    String(body),
    '\n# TYPE grpc_server_msg_sent counter\ngrpc_server_msg_sent_total{grpc_method="other"} 0\n',
  );
  const bounds = [...String(body).matchAll(/duration_seconds_bucket.*le="(.*?)"/g)].map((match) => match[1]);
  const sizes = [...String(body).matchAll(/call_sent.*_bucket.*le="(.*?)"/g)].map((match) => match[1]);
  t.match(bounds.slice(0, 4).join(' '), '0.0 1e-05 5e-05 0.0001');
  t.ok(bounds.includes('1.0') && bounds.includes('100.0') && bounds.includes('0.065'));
  t.match(sizes.join(' '), /^0.0 1024.0 .* 65536.0 262144.0 1.048576e\+06 .* 4.294967296e\+09 \+Inf$/);
});

t.test('who ask at once are given one text, and who asks later a later one', async (t) => {
  const { server, counts } = setUp({ processMetrics: true });
  const [one, other, openMetrics] = await Promise.all([
    counts.text(),
    counts.text(),
    counts.text(OPENMETRICS),
  ]);
  t.equal(one, other);
  t.not(one.body, openMetrics.body);
  const before = counts.text();
  await turn();
  server.call('/a.B/C');
  const after = await Reading.of(counts);
  t.equal(after.value(STARTED, { grpc_method: 'other' }), 1);
  await before;
});

t.test('the text of very many methods is written in turns, between which calls go on', async (t) => {
  const names = Array.from({ length: 300 }, (_, index) => `package.Service/Method${index}`);
  const { server, counts } = setUp({ methods: () => names });
  for (const name of names) server.call(`/${name}`);
  let turns = 0;
  let isDone = false;
  const all = Promise.all(Array.from({ length: 200 }, () => counts.text())).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await turn();
    turns++;
  }
  const { body } = (await all)[0]!;
  t.ok(body.length > 1.5e6, `${body.length} bytes`);
  t.ok(turns > 3, `${turns} turns`);
  t.equal(new Reading(String(body)).values('grpc_method').length, names.length);
});

t.test('a later limit holds from then on, and takes no label away', async (t) => {
  const { server, counts, read } = setUp({ maxMethods: 0 });
  const twice = (path: string): void => [1, 2].forEach(() => void server.call(path));
  twice('/a.B/One');
  counts.limitMethods(1);
  twice('/a.B/Two');
  twice('/a.B/Three');
  counts.limitMethods(0);
  server.call('/a.B/Two');
  t.strictSame((await read()).all(STARTED), { 'a.B/Two': 2, other: 5 });
  t.throws(() => counts.limitMethods(-1), RangeError);
});

t.test('the registry tells prom-client the same, and can be merged with others', async (t) => {
  const { server, counts } = setUp({ methods: () => ['a.B/"C"'] });
  server.call('/a.B/"C"', { milliseconds: 7 });
  server.call('/a.B/D', failed(Code.ABORTED));
  const own = new Registry();
  new Counter({ name: 'own_total', help: 'Of the application.', registers: [own] }).inc(3);
  const merged = new Reading(await Registry.merge([counts.registry, own]).metrics().then(withoutBlanks));
  t.equal(merged.value('own_total'), 3);
  for (const [key, value] of (await Reading.of(counts)).samples) t.equal(merged.samples.get(key), value, key);
  counts.registry.resetMetrics();
  t.equal((await Reading.of(counts)).value(STARTED, { grpc_method: 'other' }), 1, 'counters do not fall');
  counts.registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  const openMetrics = new Reading(await counts.registry.metrics());
  t.equal(openMetrics.value(STARTED, { grpc_method: 'other' }), 1);
  t.equal((await Reading.of(counts)).value(STARTED, { grpc_method: 'other' }), 1, 'in text, too');
  const json = await counts.registry.getMetricsAsJSON();
  t.ok(json.some(({ name }) => name === 'grpc_server_call_duration_seconds'));
});

/** prom-client has an empty line between metrics. */
function withoutBlanks(text: string): string {
  return text.replaceAll('\n\n', '\n');
}

t.test('a snapshot is plain JSON, and has the same text', async (t) => {
  const { server, counts } = setUp({ processMetrics: true });
  server.call('/a.B/C');
  const snapshot = JSON.parse(JSON.stringify(await counts.snapshot()));
  const { body, contentType } = await textOf(snapshot, OPENMETRICS);
  t.match(contentType, 'application/openmetrics-text');
  t.equal(new Reading(String(body)).value(STARTED, { grpc_method: 'other' }), 1);
});

t.test('the process is told of only where that is asked for, and sensibly', async (t) => {
  t.equal((await setUp().read()).value('process_cpu_seconds_total'), undefined);
  const { read } = setUp({ processMetrics: true });
  const window = (milliseconds: number) =>
    t.intercept(METRICS_LIMITS, 'lagWindowMilliseconds', { value: milliseconds });
  const { restore } = window(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const reading = await read();
  restore();
  window(Number.POSITIVE_INFINITY);
  await new Promise((resolve) => setTimeout(resolve, 50));
  for (const [name, least, most] of [
    ['process_cpu_seconds_total', 0.01, 1e6],
    ['process_start_time_seconds', Date.now() / 1000 - 600, Date.now() / 1000],
    ['process_resident_memory_bytes', 1e7, 1e11],
    ['process_virtual_memory_bytes', 1e7, 1e14],
    ['process_open_fds', 3, 1e5],
    ['nodejs_eventloop_lag_seconds', 0, 10],
    ['nodejs_eventloop_lag_min_seconds', 0, 10],
    ['nodejs_eventloop_lag_max_seconds', 0, 10],
  ] as const) {
    const value = reading.value(name);
    t.ok(value !== undefined && value >= least && value <= most, `${name} is ${value}`);
  }
  const again = await read();
  t.equal(
    again.value('nodejs_eventloop_lag_min_seconds'),
    reading.value('nodejs_eventloop_lag_min_seconds'),
    'who asks soon after is told the same',
  );
});

t.test('metrics do not keep a process alive, and the package alone does not load prom-client', async (t) => {
  const lib = new URL('../../lib/', import.meta.url);
  const script = `
    import Module from 'node:module';
    const { Server } = await import('${new URL('index.js', lib)}');
    const loaded = () => Object.keys(Module._cache).some((path) => path.includes('prom-client'));
    const before = loaded();
    const { metrics } = await import('${new URL('observe/metrics/index.js', lib)}');
    const counts = metrics(new Server(), { processMetrics: true });
    const lag = async () => String((await counts.text()).body).includes('\\nnodejs_eventloop_lag_min_seconds ');
    await lag();
    await new Promise((resolve) => setTimeout(resolve, 60));
    console.log(JSON.stringify({ before, after: loaded(), lagSoon: await lag() }));
  `;
  const child = Child.node(t, '--input-type=module', '--eval', script);
  t.equal(await child.ended(), 0);
  t.strictSame(JSON.parse(child.stdout), { before: false, after: true, lagSoon: true });
});

t.test('options that make no sense are refused', async (t) => {
  t.throws(() => setUp({ maxMethods: -1 }), RangeError);
  t.throws(() => setUp({ maxMethods: 1.5 }), RangeError);
  t.throws(() => setUp({ maxMethods: '7' as never }), TypeError);
});
