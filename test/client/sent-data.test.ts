import { AsyncLocalStorage } from 'node:async_hooks';
import { mock } from 'node:test';
import t from 'tap';
import { SentData } from '../../lib/client/sent-data.js';
import { heldBytes, NO_HOLDER } from '../../lib/port/account.js';
import { MemoryStream } from '../support/memory-conn.js';

const KIB = 1024;
const HALF = Buffer.alloc(32 * KIB, 'x');

t.test('what only a refusal could need is let go after some seconds, what a policy may need is not', (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const [brief, lasting] = [
    new SentData(NO_HOLDER, 'for a moment'),
    new SentData(NO_HOLDER, 'until dropped'),
  ];
  for (const sent of [brief, lasting]) sent.add(HALF, false);
  t.ok(heldBytes() >= 2 * HALF.length);
  mock.timers.tick(10_000);
  t.strictSame([brief.complete, lasting.complete], [false, true]);
  mock.timers.tick(3_600_000);
  t.equal(lasting.complete, true);
  lasting.drop();
  t.equal(heldBytes(), 0);
  t.end();
});

t.test('what has been sent again is held again, and for as long', (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  const sent = new SentData(NO_HOLDER, 'for a moment');
  sent.add(HALF, false);
  sent.keep();
  mock.timers.tick(60_000);
  t.equal(sent.complete, true, 'an attempt is to come');
  for (let i = 0; i < 3; i++) {
    const stream = new MemoryStream();
    sent.replay(stream);
    t.equal(Buffer.concat(stream.sent).length, HALF.length);
  }
  t.ok(heldBytes() >= HALF.length);
  mock.timers.tick(10_000);
  t.equal(sent.complete, false);
  t.equal(heldBytes(), 0);
  t.end();
});

t.test('more than 64 KiB are kept for the attempt to come, and not longer', (t) => {
  const sent = new SentData(NO_HOLDER, 'until dropped');
  sent.add(HALF, false);
  sent.add(HALF, false);
  t.equal(sent.complete, true);
  sent.keep();
  sent.add(HALF, true);
  t.equal(sent.complete, false);
  t.ok(heldBytes() >= 3 * HALF.length);
  const stream = new MemoryStream();
  sent.replay(stream);
  t.equal(Buffer.concat(stream.sent).length, 3 * HALF.length);
  t.equal(heldBytes(), 0);
  t.end();
});

t.test('the timer that all share keeps no call alive', (t) => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const { setInterval } = globalThis;
  globalThis.setInterval = ((...given: Parameters<typeof setInterval>) => {
    seen.push(storage.getStore());
    return setInterval(...given);
  }) as typeof setInterval;
  t.teardown(() => {
    globalThis.setInterval = setInterval;
  });
  const sent = new SentData(NO_HOLDER, 'for a moment');
  storage.run('a call', () => sent.add(HALF, false));
  t.same(seen, [undefined]);
  sent.drop();
  t.end();
});
