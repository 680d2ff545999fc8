import t from 'tap';
import { BackendKeepalive } from '../../lib/transport/backend-keepalive.js';
import { goneAway, PINGED_BACKEND_TOO_OFTEN } from '../../lib/transport/connection-ends.js';
import { ProcessEvents } from '../support/process-events.js';

const TIMES = { timeMilliseconds: 10_000, timeoutMilliseconds: 20_000, withoutCalls: true };
const TWO_HOURS = 2 * 60 * 60 * 1000;

t.test('connections that are ended together double the time once', async (t) => {
  const events = new ProcessEvents(t);
  const keepalive = new BackendKeepalive('backend', TIMES);
  const used = keepalive.times;
  for (let i = 0; i < 5; i++) keepalive.onTooManyPings(used);
  t.strictSame(keepalive.times, { ...TIMES, timeMilliseconds: 20_000 });
  keepalive.onTooManyPings(keepalive.times);
  t.equal(keepalive.times.timeMilliseconds, 40_000);
  await events.settled();
  t.equal(events.warnings.length, 2);
});

t.test('a backend cannot make it ask never, nor warn without end', async (t) => {
  const events = new ProcessEvents(t);
  const keepalive = new BackendKeepalive('backend', TIMES);
  for (let i = 0; i < 100; i++) keepalive.onTooManyPings(keepalive.times);
  t.equal(keepalive.times.timeMilliseconds, TWO_HOURS);
  await events.settled();
  t.equal(events.warnings.length, 10);
});

t.test('what is longer than that stays as it is', async (t) => {
  const keepalive = new BackendKeepalive('backend', { ...TIMES, timeMilliseconds: Number.POSITIVE_INFINITY });
  keepalive.onTooManyPings(keepalive.times);
  t.equal(keepalive.times.timeMilliseconds, Number.POSITIVE_INFINITY);
});

t.test('only the code and the text together mean it', async (t) => {
  t.equal(goneAway(11, Buffer.from('too_many_pings'), undefined), PINGED_BACKEND_TOO_OFTEN);
  for (const [code, text] of [
    [0, 'too_many_pings'],
    [11, 'too_many_pings!'],
    [11, ''],
  ] as const) {
    t.not(goneAway(code, Buffer.from(text), undefined), PINGED_BACKEND_TOO_OFTEN);
  }
});
