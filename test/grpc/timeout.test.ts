import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { formatTimeout, parseTimeout } from '../../lib/grpc/timeout.js';

t.test('every unit is read', async (t) => {
  t.equal(parseTimeout('2H'), 7_200_000);
  t.equal(parseTimeout('3M'), 180_000);
  t.equal(parseTimeout('4S'), 4000);
  t.equal(parseTimeout('5m'), 5);
  t.equal(parseTimeout('6u'), 0.006);
  t.equal(parseTimeout('7n'), 0.000007);
  t.equal(parseTimeout('99999999H'), 359_999_996_400_000);
  t.equal(parseTimeout('0S'), 0);
});

t.test('what is malformed is told apart from a timeout', async (t) => {
  for (const text of [
    '',
    'S',
    '1',
    '1s',
    '123456789S',
    '-1S',
    '+1S',
    '1.5S',
    ' 1S',
    '1S ',
    '1SS',
    '1 S',
    '٣S',
    '1S\n',
  ]) {
    t.equal(parseTimeout(text), undefined, JSON.stringify(text));
  }
});

t.test('a timeout is written in the most precise unit that has room', async (t) => {
  t.equal(formatTimeout(1), '1000000n');
  t.equal(formatTimeout(99.999999), '99999999n');
  t.equal(formatTimeout(100), '100000u');
  t.equal(formatTimeout(100_000), '100000m');
  t.equal(formatTimeout(100_000_000), '100000S');
  t.equal(formatTimeout(100_000_000_000), '1666667M');
  t.equal(formatTimeout(Number.POSITIVE_INFINITY), '99999999H');
});

t.test('nothing left is the shortest timeout, for the value must be positive', async (t) => {
  for (const nothing of [0, -0, -5, Number.NEGATIVE_INFINITY]) t.equal(formatTimeout(nothing), '1n');
  t.throws(() => formatTimeout(Number.NaN), RangeError);
});

t.test('a written timeout is read as no less, and as less than one unit more', async (t) => {
  const unitMilliseconds = new Map([
    ['n', 1e-6],
    ['u', 1e-3],
    ['m', 1],
    ['S', 1e3],
    ['M', 6e4],
    ['H', 3.6e6],
  ]);
  const span = fc.oneof(
    fc.double({ min: 0, max: 3.59e14, noNaN: true }),
    fc.double({ min: 0, max: 1e4, noNaN: true }),
    fc.integer({ min: 1, max: 99_999_999 }).map((nanoseconds) => nanoseconds / 1e6),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(span, (milliseconds) => {
        const text = formatTimeout(milliseconds);
        assert.match(text, /^[1-9][0-9]{0,7}[HMSmun]$/);
        const back = parseTimeout(text)!;
        const unit = unitMilliseconds.get(text.at(-1)!)!;
        assert.ok(back >= milliseconds, `${text} for ${milliseconds}`);
        assert.ok(back - milliseconds <= unit * 1.001, `${text} for ${milliseconds}`);
      }),
      { numRuns: 1000 },
    ),
  );
});

t.test('any timeout that is read and written again does not change', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 99_999_999 }), fc.constantFrom(...'HMSmun'), (value, unit) => {
        const milliseconds = parseTimeout(`${value}${unit}`)!;
        assert.equal(parseTimeout(formatTimeout(milliseconds)), milliseconds);
      }),
    ),
  );
});
