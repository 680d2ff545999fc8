import t from 'tap';
import { type AdminSource, CallStatistics } from '../../lib/admin/index.js';
import { jsonText } from '../../lib/admin/json-text.js';
import { liveState } from '../../lib/admin/live-state.js';
import { outcomeOf, UNAVAILABLE } from './outcomes.js';

const READY: AdminSource = { ready: () => ({ ready: true }) };

t.test('an update of the page is bounded, and what fails comes first', async (t) => {
  const statistics = new CallStatistics();
  const endedAt = performance.timeOrigin + performance.now() - 2000;
  for (let i = 0; i < 150; i++) {
    for (let j = 0; j < 3; j++) statistics.onCall(outcomeOf({ method: `/fine.Service/${i}`, endedAt }));
  }
  statistics.onCall(outcomeOf({ method: '/bad.Service/M', endedAt, failure: UNAVAILABLE }));
  const address = (i: number) => ({
    address: `address-${i}:1`,
    state: i === 900 ? ('TRANSIENT_FAILURE' as const) : ('READY' as const),
    connections: 1,
    calls: 1,
    ejected: i === 901,
    lastError: null,
    lastErrorAt: null,
  });
  const addresses = Array.from({ length: 1000 }, (_, i) => address(i));
  const backend = { target: 'a:1', loadBalancing: 'round_robin', state: 'READY', addresses } as const;
  const call = {
    method: 'x'.repeat(200),
    peer: '',
    startedAt: '',
    durationMs: 1,
    primary: null,
    messagesSent: 0,
    messagesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    state: 'streaming',
  } as const;
  const state = await liveState({
    ...READY,
    statistics: () => statistics.snapshot(),
    backends: () => Array.from({ length: 80 }, (_, i) => ({ name: `backend ${i}`, ...backend })),
    calls: () => Array.from({ length: 1000 }, () => call),
  });
  t.equal(state.methods.length, 100);
  t.equal(state.moreMethods, 51);
  t.equal(state.methods[0]!.method, '/bad.Service/M');
  t.equal(state.all.calls, 451);
  t.equal(state.all.lastFailed, 1);
  t.equal(state.backends.length, 50);
  t.equal(state.moreBackends, 30);
  t.strictSame(
    state.backends[0]!.addresses.slice(0, 3).map((each) => each.address),
    ['address-900:1', 'address-901:1', 'address-0:1'],
  );
  t.equal(state.backends[0]!.moreAddresses, 980);
  t.equal(state.calls.length, 50);
  t.equal(state.moreCalls, 950);
  t.ok(jsonText(state).length < 500_000);
});

t.test('without calls, statistics or backends there is an update all the same', async (t) => {
  const state = await liveState(READY);
  t.match(state, { running: 0, methods: [], failures: [], backends: [], calls: [], shadows: [], paths: [] });
  t.equal(state.since, undefined);
  t.equal(state.all.latency, null);
  t.equal(state.all.callsBySecond.length, 60);
});
