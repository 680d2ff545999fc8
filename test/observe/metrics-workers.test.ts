import t from 'tap';
import { METRICS_LIMITS } from '../../lib/observe/metrics/defaults.js';
import {
  type MetricsOptions,
  mergeSnapshots,
  metrics,
  textOf,
  WorkerMetrics,
} from '../../lib/observe/metrics/index.js';
import { FakeServer } from './metrics-fakes.js';
import { Reading } from './metrics-reading.js';

const STARTED = 'grpc_server_call_started_total';

class Worker {
  readonly server = new FakeServer();
  readonly counts;

  constructor(options: MetricsOptions = {}) {
    this.counts = metrics(this.server, options);
  }

  call(path: string, times = 1, milliseconds = 1): void {
    for (let i = 0; i < times; i++) this.server.call(path, { milliseconds });
  }

  /** As it comes by IPC. */
  async snapshot() {
    return JSON.parse(JSON.stringify(await this.counts.snapshot()));
  }
}

async function read(workers: WorkerMetrics): Promise<Reading> {
  return new Reading(String((await textOf(workers.snapshot())).body));
}

t.test('snapshots of several processes are summed, and left as they are', async (t) => {
  const [one, other] = [new Worker(), new Worker()];
  one.call('/a.B/C', 2, 1);
  other.call('/a.B/C', 3, 200);
  const end = one.server.begin('/a.B/D', 4);
  const snapshots = [await one.snapshot(), await other.snapshot()];
  const before = JSON.stringify(snapshots);
  const reading = new Reading(String((await textOf(mergeSnapshots(snapshots))).body));
  t.strictSame(reading.all(STARTED), { other: 3, 'a.B/C': 3 });
  t.strictSame(reading.all('grpc_server_call_duration_seconds_count'), { 'other OK': 2, 'a.B/C OK': 3 });
  const bucket = (method: string, le: string) =>
    reading.value('grpc_server_call_duration_seconds_bucket', { grpc_method: method, grpc_status: 'OK', le });
  t.strictSame([bucket('other', '0.001'), bucket('other', '0.2')], [1, 2]);
  t.strictSame([bucket('a.B/C', '0.0008'), bucket('a.B/C', '0.001'), bucket('a.B/C', '100')], [0, 1, 3]);
  t.equal(reading.value('grpc_frame_proxy_calls_running'), 1);
  t.equal(reading.value('grpc_server_msg_received_total', { grpc_method: 'other' }), 4);
  t.strictSame(Object.values(reading.all('grpc_frame_proxy_build_info')), [1], 'it is one build');
  t.equal(JSON.stringify(snapshots), before);
  end();
});

t.test('a sum says nothing of lags: they are averages, and extremes', async (t) => {
  const gauge = (name: string, aggregator: 'sum' | 'min' | 'max' | 'average') => (value: number) => ({
    families: [
      {
        name,
        help: name,
        type: 'gauge' as const,
        aggregator,
        labelNames: [],
        series: [{ labels: [], value }],
      },
    ],
  });
  for (const [aggregator, expected] of [
    ['sum', 12],
    ['min', 1],
    ['max', 9],
    ['average', 4],
  ] as const) {
    const merged = mergeSnapshots([2, 1, 9].map(gauge('any', aggregator)));
    t.equal(merged.families[0]?.series[0]?.value, expected, aggregator);
  }
});

t.test('what a worker has counted stays counted when it has ended; what it is at does not', async (t) => {
  const workers = new WorkerMetrics();
  const [one, other] = [new Worker(), new Worker()];
  one.call('/a.B/C', 5);
  one.server.begin('/a.B/C', 7);
  other.call('/a.B/C', 2);
  workers.update(one, await one.snapshot());
  workers.update(other, await other.snapshot());
  const before = await read(workers);
  t.strictSame(before.all(STARTED), { other: 2, 'a.B/C': 6 });
  t.equal(before.value('grpc_frame_proxy_calls_running'), 1);
  workers.remove(one);
  const after = await read(workers);
  t.strictSame(after.all(STARTED), before.all(STARTED));
  t.strictSame(after.all('grpc_server_msg_sent_total'), { other: 0, 'a.B/C': 7 });
  t.strictSame(
    after.all('grpc_server_call_duration_seconds_bucket'),
    before.all('grpc_server_call_duration_seconds_bucket'),
  );
  t.equal(after.value('grpc_frame_proxy_calls_running'), 0);
  workers.update(one, await one.snapshot());
  t.strictSame((await read(workers)).all(STARTED), before.all(STARTED), 'a late word of it is ignored');
  const next = new Worker();
  next.call('/a.B/C', 3);
  workers.update(next, await next.snapshot());
  workers.update(next, await next.snapshot());
  workers.remove(next);
  workers.remove(other);
  workers.remove(other);
  workers.remove({});
  t.strictSame((await read(workers)).all(STARTED), { other: 3, 'a.B/C': 8 });
});

t.test('workers that come and go learn no more names than one does, and nothing falls', async (t) => {
  t.intercept(METRICS_LIMITS, 'routedNamesMilliseconds', { value: 0 });
  let routed = ['r.R/Routed'];
  const options = { methods: () => routed, maxMethods: 3 };
  const workers = new WorkerMetrics(options);
  const told = new Map<string, number>();
  const check = async (): Promise<Reading> => {
    const reading = await read(workers);
    for (const [key, value] of told) {
      if (!/_total"|_bucket"|_count"/.test(key)) continue;
      if (!((reading.samples.get(key) ?? -1) >= value)) t.fail(`${key} falls from ${value}`);
    }
    for (const [key, value] of reading.samples) told.set(key, value);
    return reading;
  };
  let calls = 0;
  for (let generation = 0; generation < 10; generation++) {
    const pair = [new Worker(options), new Worker(options)];
    for (const [index, worker] of pair.entries()) {
      for (let i = 0; i < 3; i++) {
        worker.call(`/made.Up${generation}/Of${index}Method${i}`, 3);
        worker.call('/r.R/Routed');
        calls += 4;
      }
      workers.update(worker, await worker.snapshot());
      await check();
    }
    // What was counted with the others must stay there.
    if (generation === 5) routed = [...routed, 'made.Up5/Of0Method0'];
    for (const worker of pair) {
      worker.call(`/made.Up${generation}/Of0Method0`);
      calls++;
      workers.update(worker, await worker.snapshot());
      await check();
      workers.remove(worker);
      await check();
    }
  }
  const reading = await check();
  t.equal(reading.values('grpc_method').filter((name) => name.startsWith('made.Up0')).length, 3);
  t.ok(reading.values('grpc_method').length <= 3 + 2 + 1);
  t.equal(reading.value(STARTED, { grpc_method: 'r.R/Routed' }), 60);
  t.equal(
    Object.values(reading.all(STARTED)).reduce((one, other) => one + other, 0),
    calls,
  );
});

t.test('the limit can be raised, and what was counted with the others stays there', async (t) => {
  const workers = new WorkerMetrics({ maxMethods: 0 });
  const one = new Worker();
  one.call('/a.B/C', 3);
  workers.update(one, await one.snapshot());
  t.strictSame((await read(workers)).all(STARTED), { other: 3 });
  workers.limitMethods(1);
  const next = new Worker();
  next.call('/a.B/C', 3);
  for (const worker of [one, next]) workers.update(worker, await worker.snapshot());
  t.strictSame((await read(workers)).all(STARTED), { other: 4, 'a.B/C': 2 });
});

t.test('limits that make no sense are refused', async (t) => {
  t.throws(() => new WorkerMetrics().limitMethods(1.5), RangeError);
  t.throws(() => new WorkerMetrics({ maxMethods: -1 }), RangeError);
});

t.test('no sum falls by its last digits when workers end in another order than they began in', async (t) => {
  const all = new WorkerMetrics();
  const durations = Array.from({ length: 30 }, (_, index) => 0.1 + index * 0.7);
  const workers = await Promise.all(
    durations.map(async (milliseconds) => {
      const worker = new Worker();
      worker.call('/a.B/C', 1, milliseconds);
      return worker.snapshot();
    }),
  );
  for (const snapshot of workers) all.update(snapshot, snapshot);
  const sum = async () =>
    (await read(all)).value('grpc_server_call_duration_seconds_sum', {
      grpc_method: 'other',
      grpc_status: 'OK',
    })!;
  const before = await sum();
  t.ok(Math.abs(before - 0.3075) < 1e-4, `${before}`);
  for (const snapshot of workers.toReversed()) {
    all.remove(snapshot);
    t.equal(await sum(), before);
  }
});
