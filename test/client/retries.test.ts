import t, { type Test } from 'tap';
import type { Failure, FailureReason } from '../../lib/call/outcome.js';
import { Retries } from '../../lib/client/retries.js';
import type { RetryPolicy } from '../../lib/client/retry-policy.js';
import { RetryThrottle, type RetryThrottling } from '../../lib/client/retry-throttle.js';
import { Code, StatusError } from '../../lib/index.js';
import { untyped } from '../support/hostile-values.js';

const POLICY: RetryPolicy = {
  maxAttempts: 5,
  codes: [Code.UNAVAILABLE, Code.ABORTED],
  initialBackoff: 100,
  maxBackoff: 350,
  multiplier: 2,
};

function failure(code = Code.UNAVAILABLE, reason: FailureReason = 'backend_status'): Failure {
  return { error: new StatusError(code, 'failed'), reason };
}

function retriesBy(policy: Partial<RetryPolicy> = {}, throttle = new RetryThrottle()): Retries {
  return Retries.by({ ...POLICY, ...policy }, throttle)!;
}

/** Makes chance what a test needs. */
function withRandom(t: Test, value: number): void {
  const { random } = Math;
  Math.random = () => value;
  t.teardown(() => {
    Math.random = random;
  });
}

t.test('each wait is a random part of what grows by the multiplier, up to the most', (t) => {
  withRandom(t, 0.5);
  const retries = retriesBy();
  const waits = [1, 2, 3, 4, 5].map(() => retries.next(failure(), undefined, true));
  t.strictSame(waits, [50, 100, 175, 175, undefined], 'and there are maxAttempts attempts');
  t.equal(retries.previousAttempts, 4);
  t.end();
});

t.test('more than 5 attempts count as 5', (t) => {
  const retries = retriesBy({ maxAttempts: 1e9 });
  const waits = Array.from({ length: 6 }, () => retries.next(failure(), undefined, true));
  t.equal(waits.filter((wait) => wait !== undefined).length, 4);
  t.end();
});

t.test('what is not listed, is not of a backend, or cannot be repeated is not tried again', (t) => {
  const none = [
    retriesBy().next(failure(Code.INTERNAL), undefined, true),
    retriesBy().next(failure(Code.UNAVAILABLE, 'limit'), undefined, true),
    retriesBy().next(failure(Code.UNAVAILABLE, 'deadline'), undefined, true),
    retriesBy().next(failure(), undefined, false),
  ];
  t.strictSame(none, [undefined, undefined, undefined, undefined]);
  t.equal(Retries.by(undefined, new RetryThrottle()), undefined);
  t.end();
});

t.test('a backend says when, and the backoff then begins anew', (t) => {
  withRandom(t, 0.5);
  const retries = retriesBy();
  const pushback = ['grpc-status', '14', 'grpc-retry-pushback-ms', '2147483647'];
  t.strictSame(
    [undefined, undefined, pushback, undefined].map((trailers) => retries.next(failure(), trailers, true)),
    [50, 100, 2 ** 31 - 1, 50],
  );
  t.equal(retriesBy().next(failure(), ['grpc-retry-pushback-ms', '0'], true), 0);
  t.end();
});

t.test('a pushback that is negative, no number, or one of several: not again', (t) => {
  for (const text of [
    '-1',
    '-0',
    '',
    '07',
    '1.5',
    '1e3',
    '0x10',
    ' 5',
    '2147483648',
    '9'.repeat(400),
    '5,6',
  ]) {
    t.equal(retriesBy().next(failure(), ['grpc-retry-pushback-ms', text], true), undefined, text);
  }
  const two = ['grpc-retry-pushback-ms', '5', 'grpc-retry-pushback-ms', '5'];
  t.equal(retriesBy().next(failure(), two, true), undefined, 'two');
  t.equal(retriesBy().next(failure(Code.INTERNAL), ['grpc-retry-pushback-ms', '5'], true), undefined);
  t.end();
});

t.test('with half of the tokens or fewer left, nothing is tried again until calls succeed', (t) => {
  const throttle = new RetryThrottle({ maxTokens: 4, tokenRatio: 0.7 });
  const isRetried = (): boolean => retriesBy({}, throttle).next(failure(), undefined, true) !== undefined;
  t.strictSame([isRetried(), isRetried(), isRetried()], [true, false, false]);
  // One is left. An attempt takes one, and more than two must then be left.
  const ok = retriesBy({}, throttle);
  ok.onSuccess();
  ok.onSuccess();
  t.equal(isRetried(), false, '1.4 tokens');
  for (let i = 0; i < 3; i++) ok.onSuccess();
  t.equal(isRetried(), true, '2.5 tokens');
  for (let i = 0; i < 10; i++) ok.onSuccess();
  t.strictSame([isRetried(), isRetried()], [true, false], 'no more than there were at first');
  t.end();
});

t.test('tokens go where the code is listed, or the backend says not to try again', (t) => {
  const isLeft = (spend: (retries: Retries) => void): boolean => {
    // The next failure leaves exactly half unless one has been taken before.
    const throttle = new RetryThrottle({ maxTokens: 3, tokenRatio: 1 });
    spend(retriesBy({}, throttle));
    return throttle.onFailure();
  };
  const never = ['grpc-retry-pushback-ms', '-1'];
  t.ok(isLeft((retries) => retries.next(failure(Code.INTERNAL), undefined, true)));
  t.ok(isLeft((retries) => retries.next(failure(Code.INTERNAL), ['grpc-retry-pushback-ms', '1'], true)));
  t.notOk(isLeft((retries) => retries.next(failure(), undefined, true)));
  t.notOk(
    isLeft((retries) => retries.next(failure(), undefined, false)),
    'also one that was committed',
  );
  t.notOk(isLeft((retries) => retries.next(failure(Code.INTERNAL), never, true)));
  t.end();
});

t.test('a backend that fails for long spends no tokens beyond the last', (t) => {
  const throttle = new RetryThrottle({ maxTokens: 2, tokenRatio: 1 });
  for (let i = 0; i < 1000; i++) throttle.onFailure();
  throttle.onSuccess();
  throttle.onSuccess();
  throttle.onSuccess();
  t.equal(throttle.onFailure(), false, '1 of 2');
  throttle.onSuccess();
  t.equal(throttle.onFailure(), false, '1 of 2');
  t.end();
});

t.test('by default a hundred calls that fail at once are tried again', (t) => {
  const throttle = new RetryThrottle();
  const allowed = Array.from({ length: 200 }, () => throttle.onFailure()).filter(Boolean);
  t.equal(allowed.length, 99);
  t.end();
});

t.test('nonsense in a policy is refused by name', (t) => {
  const nonsense: readonly (readonly [keyof RetryPolicy, readonly unknown[]])[] = [
    ['maxAttempts', [undefined, null, '3', 3n, NaN, 1, 2.5, -2, Infinity]],
    ['codes', [undefined, null, 14, 'UNAVAILABLE', {}, [], [0], [17], [1.5], ['14'], [14, undefined], [NaN]]],
    ['codes', [new Array(1e9), Array.from({ length: 17 }, () => 14)]],
    ['initialBackoff', [undefined, '1', 0, -1, NaN, Infinity, 2 ** 31]],
    ['maxBackoff', [undefined, null, 0, -1, NaN, Infinity, 2 ** 31]],
    ['multiplier', [undefined, {}, 0, -1, NaN, Infinity]],
  ];
  for (const [name, values] of nonsense) {
    for (const value of values) {
      const error = t.throws(() => retriesBy({ [name]: value })) as Error;
      t.match(error.message, `callOptions.retry.${name} must be `);
      t.ok(error instanceof TypeError || error instanceof RangeError);
    }
  }
  for (const value of [null, 7, 'retry', true]) {
    t.throws(() => Retries.by(untyped(value), new RetryThrottle()), {
      name: 'TypeError',
      message: /^callOptions.retry must be an object/,
    });
  }
  t.end();
});

t.test('nonsense in the throttling is refused by name', (t) => {
  const nonsense: readonly (readonly [keyof RetryThrottling, readonly unknown[]])[] = [
    ['maxTokens', [null, '10', 0, -1, NaN, 1001, Infinity]],
    ['tokenRatio', [null, '1', 0, -1, NaN, Infinity]],
  ];
  for (const [name, values] of nonsense) {
    for (const value of values) {
      const error = t.throws(() => new RetryThrottle(untyped({ [name]: value }))) as Error;
      t.match(error.message, `retryThrottling.${name} must be a number`);
    }
  }
  t.end();
});
