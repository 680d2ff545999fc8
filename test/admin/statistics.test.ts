import fc from 'fast-check';
import t from 'tap';
import {
  ageStatistics,
  CallStatistics,
  type FailureKind,
  type MethodStatistics,
  mergeStatistics,
  type StatisticsSnapshot,
} from '../../lib/admin/index.js';
import { LatencySum, percentilesOf } from '../../lib/admin/statistics/latencies.js';
import { type CallOutcome, Code, type ShadowOutcome, StatusError } from '../../lib/index.js';
import { outcomeOf, UNAVAILABLE } from './outcomes.js';

/** Statistics that are told of these calls. */
function statisticsOf(...outcomes: readonly CallOutcome[]): CallStatistics {
  const statistics = new CallStatistics();
  for (const outcome of outcomes) {
    statistics.onCallStarted();
    statistics.onCall(outcome);
  }
  return statistics;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

function methodIn({ methods }: StatisticsSnapshot, name: string): MethodStatistics {
  const found = methods.filter(({ method }) => method === name);
  if (found.length !== 1) throw new Error(`${found.length} rows of ${name}`);
  return found[0]!;
}

t.test('calls count by route and method, failures and what clients cancelled apart', async (t) => {
  const statistics = statisticsOf(
    outcomeOf({ method: '/a.B/C', route: 'one' }),
    outcomeOf({ method: '/a.B/C', route: 'one', failure: UNAVAILABLE }),
    outcomeOf({ method: '/a.B/C', route: 'one', failure: ['client_cancelled', Code.CANCELLED] }),
    outcomeOf({ method: '/a.B/C', route: 'one', failure: ['client_gone', Code.CANCELLED] }),
    outcomeOf({ method: '/a.B/C', route: 'two' }),
    outcomeOf({ method: '/a.B/C' }),
    outcomeOf({ method: '/a.B/D', route: 'one' }),
  );
  const { methods } = statistics.snapshot();
  const told = methods.map(({ route, method, calls, failed, cancelled }) => [
    `${route} ${method}`,
    calls,
    failed,
    cancelled,
  ]);
  t.strictSame(told.sort(), [
    ['null /a.B/C', 1, 0, 0],
    ['one /a.B/C', 4, 1, 2],
    ['one /a.B/D', 1, 0, 0],
    ['two /a.B/C', 1, 0, 0],
  ]);
});

t.test('calls that have begun and not ended are running', async (t) => {
  const statistics = new CallStatistics();
  for (let i = 0; i < 3; i++) statistics.onCallStarted();
  statistics.onCall(outcomeOf());
  t.equal(statistics.snapshot().running, 2);
});

t.test('the history has each second of the last minute, this one first', async (t) => {
  // Not at the end of a second, so that all of this is of the same.
  const second = Math.floor(now() / 1000);
  const at = (age: number) => (second - age) * 1000 + 1;
  const statistics = statisticsOf(
    outcomeOf({ endedAt: at(61) }),
    outcomeOf({ endedAt: at(60), failure: UNAVAILABLE }),
    outcomeOf({ endedAt: at(3) }),
    outcomeOf({ endedAt: at(3), failure: UNAVAILABLE }),
    outcomeOf({ endedAt: at(0) }),
    // Calls may end in another order than their times say.
    outcomeOf({ endedAt: at(3) }),
  );
  const { calls, failed, callsBySecond, failedBySecond } = methodIn(
    statistics.snapshot(),
    '/test.Service/Method',
  );
  t.equal(calls, 6);
  t.equal(failed, 2);
  const passed = Math.floor(now() / 1000) - second;
  const filled = (length: number) => new Array<number>(length).fill(0);
  const expected = [...filled(passed), 1, 0, 0, 3, ...filled(56), 1].slice(0, 61);
  if (passed === 0) {
    t.strictSame(callsBySecond, expected);
    t.strictSame(failedBySecond, [0, 0, 0, 1, ...filled(56), 1]);
  }
});

t.test('percentiles are within an eighth of the exact ones', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.01, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
      (durations) => {
        const statistics = statisticsOf(
          ...durations.map((durationMilliseconds) => outcomeOf({ durationMilliseconds })),
        );
        const sum = new LatencySum();
        const [{ latenciesBySlot }] = statistics.snapshot().methods as [MethodStatistics];
        for (const counts of latenciesBySlot) sum.add(counts);
        const sorted = [...durations].sort((a, b) => a - b);
        for (const [index, part] of [0.5, 0.95, 0.99].entries()) {
          const exact = sorted[Math.ceil(part * sorted.length) - 1]!;
          const told = percentilesOf(sum.counts)![index]!;
          if (Math.abs(told - exact) > exact / 8 + 0.001) throw new Error(`${told} for ${exact}`);
        }
      },
    ),
  );
});

t.test('durations of any kind are counted', async (t) => {
  const odd = [0, -1, Number.NaN, 1e-9, 1e12, Number.POSITIVE_INFINITY];
  const endedAt = now();
  for (const durationMilliseconds of odd) {
    const outcome = { ...outcomeOf({ endedAt }), startedAt: endedAt, durationMilliseconds };
    const { methods } = statisticsOf(outcome).snapshot();
    t.equal(methods[0]?.calls, 1, String(durationMilliseconds));
  }
});

t.test('names that clients make up share one place', async (t) => {
  const statistics = new CallStatistics();
  const say = (outcome: CallOutcome): void => {
    statistics.onCallStarted();
    statistics.onCall(outcome);
  };
  say(outcomeOf({ method: '/real.Service/Known' }));
  for (let i = 0; i < 3000; i++) {
    say(outcomeOf({ method: `/made.Up/${i}`, failure: ['no_route', Code.UNIMPLEMENTED] }));
    say(outcomeOf({ method: `/made.Up/${i}`, failure: ['backend_status', Code.UNIMPLEMENTED] }));
    say(outcomeOf({ method: `/made.Up/${i}`, failure: ['rejected', Code.PERMISSION_DENIED], route: 'no' }));
  }
  say(outcomeOf({ method: `/${'long'.repeat(1000)}/M` }));
  say(outcomeOf({ method: '/real.Service/Known', failure: ['backend_status', Code.UNIMPLEMENTED] }));
  const snapshot = statistics.snapshot();
  t.strictSame(
    snapshot.methods.map(({ method, calls }) => [method, calls]),
    [
      ['/real.Service/Known', 2],
      ['other', 9001],
    ],
  );
  t.equal(snapshot.failures.length, 4);
});

t.test('where all places are taken, further methods are counted together', async (t) => {
  const statistics = new CallStatistics();
  for (let i = 0; i < 5000; i++) statistics.onCall(outcomeOf({ method: `/a.B/${i}`, failure: UNAVAILABLE }));
  const snapshot = statistics.snapshot();
  t.equal(snapshot.methods.length, 201);
  t.equal(methodIn(snapshot, 'other').calls, 4800);
  t.ok(JSON.stringify(snapshot).length < 100_000);
});

t.test('a method that is called no more gives up its place, and what it counted goes on', async (t) => {
  const statistics = new CallStatistics();
  const long = now() - 120_000;
  for (let i = 0; i < 200; i++) statistics.onCall(outcomeOf({ method: `/old.S/${i}`, endedAt: long }));
  statistics.onCall(outcomeOf({ method: '/new.S/M' }));
  const snapshot = statistics.snapshot();
  t.equal(methodIn(snapshot, '/new.S/M').calls, 1);
  t.equal(methodIn(snapshot, 'other').calls, 200);
});

t.test('failures of a kind are one: since when, how many, the last message, whose', async (t) => {
  const at = now() - 10_000;
  const failed = (message: string, endedAt: number) =>
    outcomeOf({
      route: 'writes',
      failure: ['backend_status', Code.NOT_FOUND, message],
      endedAt,
    });
  const { failures } = statisticsOf(failed('first', at), failed('last', at + 4000)).snapshot();
  t.equal(failures.length, 1);
  const [{ firstMilliseconds, lastMilliseconds, ...kind }] = failures as [FailureKind];
  t.strictSame(kind, {
    effect: 'failed',
    reason: 'backend_status',
    code: 'NOT_FOUND',
    route: 'writes',
    targets: ['backend:1'],
    methods: ['/test.Service/Method'],
    count: 2,
    message: 'last',
  });
  t.ok(firstMilliseconds >= 10_000 && firstMilliseconds < 12_000);
  t.ok(lastMilliseconds >= 6000 && lastMilliseconds < 8000);
});

t.test('a connection that fails is one kind, whatever goes there', async (t) => {
  const outcomes = Array.from({ length: 8 }, (_, i) =>
    outcomeOf({ method: `/a.B/${i}`, route: `route ${i % 2}`, failure: UNAVAILABLE }),
  );
  const { failures } = statisticsOf(...outcomes).snapshot();
  t.equal(failures.length, 1);
  t.equal(failures[0]!.count, 8);
  t.equal(failures[0]!.route, null);
  t.strictSame(failures[0]!.methods, ['/a.B/0', '/a.B/1', '/a.B/2', '/a.B/3', '/a.B/4']);
});

t.test('a failure that comes again after a pause of five minutes has begun anew', async (t) => {
  const at = now();
  const { failures } = statisticsOf(
    outcomeOf({ method: '/a.B/Before', failure: UNAVAILABLE, endedAt: at - 400_000 }),
    outcomeOf({ method: '/a.B/Now', failure: UNAVAILABLE, endedAt: at - 1000 }),
  ).snapshot();
  t.equal(failures[0]!.count, 1);
  t.strictSame(failures[0]!.methods, ['/a.B/Now']);
  t.ok(failures[0]!.firstMilliseconds < 5000);
});

t.test('it is told whose failure it is', async (t) => {
  const failure = { reason: 'backend_reset', error: new StatusError(Code.INTERNAL, 'reset') } as const;
  const destinations: CallOutcome['destinations'] = [
    { role: 'primary', target: 'one:1', attempts: 1, failure: undefined },
    { role: 'secondary', target: 'two:1', attempts: 1, failure: undefined },
    { role: 'secondary', target: 'three:1', attempts: 1, failure },
  ];
  const targetsOf = (reason: NonNullable<CallOutcome['failure']>['reason']) =>
    statisticsOf(outcomeOf({ failure: [reason, Code.INTERNAL], destinations })).snapshot().failures[0]!
      .targets;
  t.strictSame(targetsOf('backend_reset'), ['one:1']);
  t.strictSame(targetsOf('deadline'), ['one:1']);
  t.strictSame(targetsOf('secondary'), ['three:1']);
  t.strictSame(targetsOf('director'), []);
  t.strictSame(targetsOf('client_cancelled'), []);
});

t.test('a secondary that fails though its call does not is told', async (t) => {
  const failure = { reason: 'backend_connect', error: new StatusError(Code.UNAVAILABLE, 'gone') } as const;
  const statistics = statisticsOf(
    outcomeOf({
      destinations: [
        { role: 'primary', target: 'one:1', attempts: 1, failure: undefined },
        { role: 'secondary', target: 'two:1', attempts: 1, failure },
      ],
    }),
  );
  const snapshot = statistics.snapshot();
  t.match(snapshot.failures, [{ effect: 'ignored', targets: ['two:1'], message: 'gone', count: 1 }]);
  t.equal(snapshot.methods[0]!.failed, 0);
});

t.test('no flood of kinds drives out what is failing', async (t) => {
  const statistics = new CallStatistics();
  statistics.onCall(outcomeOf({ method: '/real.S/M', failure: ['limit', Code.RESOURCE_EXHAUSTED] }));
  for (let i = 0; i < 5000; i++) {
    statistics.onCall(outcomeOf({ method: `/a.B/${i}`, failure: ['director', Code.INTERNAL, `no ${i}`] }));
  }
  const { failures } = statistics.snapshot();
  t.ok(failures.length <= 50, String(failures.length));
  t.ok(failures.some(({ methods }) => methods[0] === '/real.S/M'));
  const others = failures.find(({ methods }) => methods[0] === 'other');
  t.equal(others?.message, 'no 4999');
});

t.test('long texts are cut', async (t) => {
  const target = `backend.${'x'.repeat(1000)}:1`;
  const statistics = statisticsOf(
    outcomeOf({
      failure: ['backend_status', Code.INTERNAL, 'y'.repeat(5000)],
      destinations: [{ role: 'primary', target, attempts: 1, failure: undefined }],
    }),
  );
  const [failure] = statistics.snapshot().failures;
  t.equal(failure!.message.length, 200);
  t.equal(failure!.targets[0]!.length, 200);
});

function shadowOutcome(
  target: string,
  result: ShadowOutcome['result'],
  role: ShadowOutcome['role'] = 'shadow',
) {
  const { context, method } = outcomeOf();
  const failure =
    result === 'ok'
      ? undefined
      : ({ reason: 'backend_status', error: new StatusError(Code.INTERNAL, `it ${result}`) } as const);
  return { role, target, result, failure, method, context, attempts: 1 };
}

t.test('shadows count by target: what became of them, and of what was compared', async (t) => {
  const statistics = new CallStatistics();
  for (const result of ['ok', 'ok', 'error', 'lagged', 'expired', 'cancelled'] as const) {
    statistics.onShadow(shadowOutcome('shadow:1', result));
  }
  statistics.onShadow(shadowOutcome('late:1', 'ok', 'secondary'));
  const compared = { method: '/test.Service/Method', target: 'shadow:1', role: 'shadow' };
  statistics.onVerdict({ ...compared, result: 'same' });
  statistics.onVerdict({
    ...compared,
    result: 'noise',
    at: 'status',
    primary: Code.OK,
    other: Code.INTERNAL,
  });
  statistics.onVerdict({
    ...compared,
    result: 'different',
    at: 'status',
    primary: Code.OK,
    other: Code.INTERNAL,
  });
  statistics.onVerdict({ ...compared, result: 'inconclusive', reason: 'cut off' });
  statistics.onVerdict({ ...compared, role: 'baseline', result: 'same' });
  t.match(statistics.snapshot().targets, [
    {
      role: 'shadow',
      target: 'shadow:1',
      results: { ok: 2, error: 1, lagged: 1, expired: 1, cancelled: 1 },
      compared: { same: 2, different: 1, inconclusive: 1 },
      lastFailure: { text: 'it expired', method: '/test.Service/Method' },
      lastDifference: { text: 'status 13 in place of 0' },
    },
    { role: 'secondary', target: 'late:1', results: { ok: 1 } },
  ]);
});

t.test('targets that a director makes up share one place', async (t) => {
  const statistics = new CallStatistics();
  for (let i = 0; i < 1000; i++) statistics.onShadow(shadowOutcome(`made-up-${i}:1`, 'ok'));
  const { targets } = statistics.snapshot();
  t.equal(targets.length, 101);
  t.equal(targets.find(({ target }) => target === 'other')?.results.ok, 900);
});

/** Without ages, which pass while one looks. */
function withoutAges(snapshot: StatisticsSnapshot): unknown {
  return JSON.parse(
    JSON.stringify(snapshot, (name, value) => (/milliseconds$/i.test(name) ? undefined : value)),
  );
}

const ANY_OUTCOME = fc.record({
  method: fc.constantFrom('/a.B/C', '/a.B/D', '/e.F/G'),
  route: fc.constantFrom(undefined, 'one', 'two'),
  failure: fc.constantFrom(undefined, UNAVAILABLE, ['limit', Code.RESOURCE_EXHAUSTED] as const),
  durationMilliseconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
  age: fc.integer({ min: 2, max: 55 }),
});

t.test('the statistics of several processes are those that one would have', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 2 }), ANY_OUTCOME), { maxLength: 60 }), (calls) => {
      const all = new CallStatistics();
      const parts = [new CallStatistics(), new CallStatistics(), new CallStatistics()];
      // In the order of time, as calls end; and a second that all snapshots are taken in.
      const at = now();
      const inOrder = [...calls].sort(([, a], [, b]) => b.age - a.age);
      for (const [part, { age, ...options }] of inOrder) {
        const outcome = outcomeOf({ ...options, endedAt: at - age * 1000 });
        for (const statistics of [all, parts[part]!]) {
          statistics.onCallStarted();
          statistics.onCall(outcome);
        }
      }
      const snapshots = parts.map((part) => JSON.parse(JSON.stringify(part.snapshot())));
      const merged = sorted(mergeStatistics(snapshots));
      const expected = sorted(all.snapshot());
      if (Math.floor(now() / 1000) !== Math.floor(at / 1000)) return;
      const found = JSON.stringify(withoutAges(merged));
      const wanted = JSON.stringify(withoutAges(expected));
      if (found !== wanted) throw new Error(`${found}\n${wanted}`);
    }),
  );
});

function sorted(snapshot: StatisticsSnapshot): StatisticsSnapshot {
  const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  const failures = snapshot.failures.map((each) => ({ ...each, methods: [...each.methods].sort() }));
  return {
    ...snapshot,
    methods: [...snapshot.methods].sort((a, b) => byText([a.route, a.method], [b.route, b.method])),
    failures: failures.sort((a, b) => byText([a.reason, a.route, a.methods], [b.reason, b.route, b.methods])),
  };
}

t.test('merged statistics are bounded as those of one process', async (t) => {
  const snapshots = Array.from({ length: 5 }, (_, worker) =>
    statisticsOf(
      ...Array.from({ length: 150 }, (_, i) => outcomeOf({ method: `/worker.${worker}/${i}` })),
      outcomeOf({ method: '/every.Worker/M', failure: ['limit', Code.INTERNAL] }),
      ...Array.from({ length: 40 }, (_, i) =>
        outcomeOf({ method: `/worker.${worker}/${i}`, failure: ['limit', Code.RESOURCE_EXHAUSTED] }),
      ),
    ).snapshot(),
  );
  const merged = mergeStatistics(snapshots);
  t.equal(merged.methods.length, 200);
  t.equal(methodIn(merged, '/every.Worker/M').calls, 5);
  t.equal(
    merged.methods.reduce((sum, { calls }) => sum + calls, 0),
    5 * 191,
  );
  t.equal(merged.failures.length, 50);
});

t.test('of a process that has ended, what it counted stays, and its minute passes', async (t) => {
  const at = Math.floor(now() / 1000) * 1000;
  const taken = statisticsOf(
    outcomeOf({ endedAt: at, failure: UNAVAILABLE }),
    outcomeOf({ endedAt: at }),
  ).snapshot();
  const [before] = taken.methods;
  const [aged] = ageStatistics(taken, 10_000).methods;
  t.strictSame(aged!.callsBySecond, [...new Array<number>(10).fill(0), ...before!.callsBySecond]);
  t.strictSame(aged!.latenciesBySlot, [[], [], ...before!.latenciesBySlot]);
  const later = ageStatistics({ ...taken, running: 3 }, 120_000);
  t.equal(later.running, 0);
  t.match(later.methods, [{ calls: 2, failed: 1, callsBySecond: [], latenciesBySlot: [] }]);
  t.equal(later.failures[0]!.lastMilliseconds, taken.failures[0]!.lastMilliseconds + 120_000);
});
