import t from 'tap';
import { Code } from '../../lib/index.js';
import type { CallEnd } from '../attacks/lab/victim.js';
import { Account } from './accounts.js';
import { MemoryCurve } from './memory-curve.js';

/** An end that lies so many milliseconds from now. */
function ended(kind: CallEnd['kind'], code: number | undefined, from: number, until: number): CallEnd {
  const now = performance.now();
  return { kind, code, startedAt: now + from, endedAt: now + until, what: `status ${code}` };
}

function accountOfKilled(): Account {
  const account = new Account('backend');
  account.disturb('killed', [Code.UNAVAILABLE]).until = performance.now() + 1000;
  return account;
}

t.test('a call that ends as its disturbance names is excused', async (t) => {
  const account = accountOfKilled();
  account.enter(ended('call', Code.UNAVAILABLE, -10, 10));
  account.enter(ended('call', Code.UNAVAILABLE, 900, 1900));
  account.enter(ended('stream', Code.UNAVAILABLE, -1e6, 500));
  t.equal(account.violationCount, 0);
  t.same(
    [...account.excused],
    [
      ['killed: call with status 14', 2],
      ['killed: stream with status 14', 1],
    ],
  );
});

t.test('any other end is a violation', async (t) => {
  const account = accountOfKilled();
  account.enter(ended('call', Code.INTERNAL, -10, 10));
  account.enter(ended('call', undefined, -10, 10));
  account.enter(ended('call', Code.UNAVAILABLE, 1100, 1200));
  account.enter(ended('call', Code.UNAVAILABLE, -200, -100));
  account.enter(ended('stream', Code.UNAVAILABLE, 0, 1500));
  account.enter(ended('stream', Code.OK, 0, 1500));
  t.equal(account.violationCount, 6);
  t.equal(account.excused.size, 0);
});

t.test('a call is counted once, OK or not', async (t) => {
  const account = accountOfKilled();
  account.enter(ended('call', Code.OK, 0, 1));
  account.enter(ended('call', Code.UNAVAILABLE, 0, 1));
  account.enter(ended('call', Code.INTERNAL, 0, 1));
  t.equal(account.calls, 3);
  t.equal(account.ok, 1);
});

t.test('a quarter of the memory curve is judged by its median', async (t) => {
  const curve = new MemoryCurve();
  for (const rss of [1, 1, 9, 2, 2, 9, 3, 9, 3, 4, 4, 9]) curve.add(rss);
  t.same(
    [0, 1, 2, 3].map((quarter) => curve.median(quarter)),
    [1, 2, 3, 4],
  );
  t.equal(curve.peak, 9);
});
