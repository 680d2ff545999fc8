import t, { type Test } from 'tap';
import { Bucket } from '../../lib/port/bucket.js';

/** Lets the clock stand still, and gives what sets it forward. */
function stoppedClock(t: Test): (milliseconds: number) => void {
  const { now } = performance;
  let time = 1000;
  performance.now = () => time;
  t.teardown(() => {
    performance.now = now;
  });
  return (milliseconds) => {
    time += milliseconds;
  };
}

function takeAll(bucket: Bucket): number {
  let taken = 0;
  while (bucket.take()) taken++;
  return taken;
}

t.test('a bucket that was full for long gives its burst once, not twice', async (t) => {
  const pass = stoppedClock(t);
  const bucket = new Bucket({ burst: 500, perSecond: 30 });
  pass(3_600_000);
  t.equal(takeAll(bucket), 500);
  pass(1000);
  t.equal(takeAll(bucket), 30);
  bucket.take();
  pass(600_000);
  t.equal(takeAll(bucket), 500);
});

t.test('what is looked at gains no more than what is not', async (t) => {
  const pass = stoppedClock(t);
  const bucket = new Bucket({ burst: 10, perSecond: 1 });
  for (let i = 0; i < 9; i++) bucket.take();
  t.equal(bucket.isBelow(0.2), true);
  for (let i = 0; i < 10; i++) {
    pass(100);
    bucket.isBelow(0.2);
  }
  t.equal(bucket.isBelow(0.2), false);
  t.equal(takeAll(bucket), 2);
});

t.test('what is put back is there again, up to the burst', async (t) => {
  stoppedClock(t);
  const bucket = new Bucket({ burst: 3, perSecond: 1 });
  bucket.give();
  t.equal(takeAll(bucket), 3);
  bucket.give();
  t.equal(takeAll(bucket), 1);
});

t.test('an infinite burst never ends', async (t) => {
  const pass = stoppedClock(t);
  const bucket = new Bucket({ burst: Number.POSITIVE_INFINITY, perSecond: 1 });
  for (let i = 0; i < 1000; i++) bucket.take();
  pass(10);
  t.equal(bucket.take(), true);
  t.equal(bucket.isBelow(0.2), false);
});
