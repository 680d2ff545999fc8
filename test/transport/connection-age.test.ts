import t from 'tap';
import { ConnectionAge } from '../../lib/transport/connection-age.js';
import { ConnectionUse } from '../../lib/transport/connection-use.js';

const LIMITS = { maxAgeMilliseconds: 1000, maxAgeGraceMilliseconds: 100 };
const HOUR = 3_600_000;

t.test('each connection has an age of its own, within ±10 %', async (t) => {
  const { random } = Math;
  t.teardown(() => {
    Math.random = random;
  });
  for (const [drawn, oldAt] of [
    [0, 900],
    [0.5, 1000],
    [1, 1100],
  ] as const) {
    Math.random = () => drawn;
    const age = new ConnectionAge(LIMITS, HOUR);
    t.equal(age.at(HOUR + oldAt - 1), 'young');
    t.equal(age.at(HOUR + oldAt), 'old');
  }
  Math.random = random;
  const ages = Array.from({ length: 200 }, () => {
    const age = new ConnectionAge(LIMITS, 0);
    return Array.from({ length: 1200 }, (_, now) => now).find((now) => age.at(now) === 'old')!;
  });
  t.ok(Math.min(...ages) >= 900 && Math.max(...ages) <= 1100 && new Set(ages).size > 50);
});

t.test('the grace counts from the last GOAWAY, and from no sooner than it is old', async (t) => {
  const late = new ConnectionAge(LIMITS, 0);
  t.equal(late.at(5000), 'old', 'not before it has been told');
  late.onLastGoaway(5000);
  t.equal(late.at(5099), 'old');
  late.onLastGoaway(5099);
  t.equal(late.at(5100), 'over');
  const early = new ConnectionAge(LIMITS, 0);
  early.onLastGoaway(10);
  t.equal(early.at(899), 'young', 'the server closes: that is no matter of its age');
  t.equal(early.at(1200), 'over');
});

t.test('without a limit it gets as old as it likes', async (t) => {
  const age = new ConnectionAge({ maxAgeMilliseconds: Infinity, maxAgeGraceMilliseconds: Infinity }, 0);
  t.equal(age.at(Number.MAX_SAFE_INTEGER), 'young');
});

t.test('calls between two looks count as use', async (t) => {
  const use = new ConnectionUse(100);
  t.equal(use.isIdleAt(0, 0, 0), false);
  t.equal(use.isIdleAt(99, 0, 0), false);
  t.equal(use.isIdleAt(100, 0, 1), false);
  t.equal(use.isIdleAt(150, 1, 1), false);
  t.equal(use.isIdleAt(200, 0, 1), false);
  t.equal(use.isIdleAt(299, 0, 1), false);
  t.equal(use.isIdleAt(300, 0, 1), true);
});
