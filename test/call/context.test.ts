import { getEventListeners, once } from 'node:events';
import type { Socket } from 'node:net';
import t from 'tap';
import { now } from '../../lib/call/clock.js';
import { CallContext } from '../../lib/call/context.js';
import { Code, ContextKey, Metadata, StatusError } from '../../lib/index.js';

const MINUTE = 60_000;

function context(deadline?: number): CallContext {
  return CallContext.ofRequest('/any.Service/Method', [], {} as Socket, deadline);
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
}

t.test('a derived deadline has a timer from the first time that its signal is asked for', async (t) => {
  const before = timers();
  const call = context();
  const derived = call.withTimeout(MINUTE);
  t.equal(timers(), before, 'not before');
  const { signal } = derived;
  t.equal(timers(), before + 1);
  t.equal(derived.signal, signal, 'it stays the same');
  t.equal(timers(), before + 1);
  call.end();
  t.equal(timers(), before, 'not after the call has ended');
  t.equal(signal.aborted, false);
  t.equal(call.withTimeout(MINUTE).signal.aborted, false);
  t.equal(timers(), before, 'nor for one that is asked for then');
});

t.test("the client's own deadline needs no timer beside the call's", async (t) => {
  const before = timers();
  const call = context(now() + MINUTE);
  t.equal(call.withTimeout(2 * MINUTE).signal, call.signal, 'as a later one changes nothing');
  t.equal(call.withMethod('/other.Service/Method').signal, call.signal);
  const derived = call.withSignal(new AbortController().signal);
  t.not(derived.signal, call.signal);
  t.equal(timers(), before);
});

t.test('a derived signal aborts for whichever comes first, with its reason', async (t) => {
  const cancelled = new StatusError(Code.CANCELLED, 'gone');
  const own = new AbortController();
  const byDeadline = context().withSignal(own.signal).withTimeout(1).signal;
  await once(byDeadline, 'abort');
  t.match(byDeadline.reason, { code: Code.DEADLINE_EXCEEDED });
  const call = context();
  const byCall = call.withSignal(own.signal).withTimeout(MINUTE).signal;
  call.cancel(cancelled);
  t.equal(byCall.reason, cancelled);
  t.equal(call.signal.reason, cancelled);
  const other = context();
  const byOwn = other.withSignal(new AbortController().signal).withSignal(own.signal).signal;
  own.abort('enough');
  t.equal(byOwn.reason, 'enough');
  t.equal(other.signal.aborted, false, 'the call itself goes on');
  t.equal(other.withSignal(own.signal).signal.reason, 'enough', 'at once where it has aborted already');
});

t.test("a derived signal says the call's reason when the call has ended by it, too", async (t) => {
  const cancelled = new StatusError(Code.CANCELLED, 'gone');
  const call = context();
  const before = call.withTimeout(MINUTE).signal;
  call.end();
  call.cancel(cancelled);
  t.equal(before.reason, cancelled);
  t.equal(call.withTimeout(MINUTE).signal.reason, cancelled);
});

t.test('a signal has one listener of all calls together, and none once they have ended', async (t) => {
  const shared = new AbortController();
  const calls = Array.from({ length: 30 }, () => context());
  const signals = calls.map((call) => call.withSignal(shared.signal).signal);
  t.equal(getEventListeners(shared.signal, 'abort').length, 1);
  for (const call of calls.slice(1)) call.end();
  t.equal(getEventListeners(shared.signal, 'abort').length, 1);
  calls[0]?.end();
  t.equal(getEventListeners(shared.signal, 'abort').length, 0);
  const last = context().withSignal(shared.signal).signal;
  shared.abort();
  t.equal(last.aborted, true);
  t.same(new Set(signals.map(({ aborted }) => aborted)), new Set([false]));
});

t.test('a time that is none is refused, and not taken for the year 1970 or for never', async (t) => {
  const call = context();
  for (const nonsense of [undefined, null, '', '5000', true, [], 5n, {}, Number.NaN]) {
    const refused = { name: 'TypeError', code: /^ERR_INVALID_ARG_/ };
    t.throws(() => call.withDeadline(nonsense as number), refused, `deadline ${String(nonsense)}`);
    t.throws(() => call.withTimeout(nonsense as number), refused, `timeout ${String(nonsense)}`);
  }
  t.equal(call.withDeadline(new Date(5)).deadline, 5);
});

t.test('a value is found by its key, in what is derived from where it was set', async (t) => {
  const [user, other] = [new ContextKey<{ name: string }>('user'), new ContextKey<number>('user')];
  const call = context();
  const anna = call.withValue(user, { name: 'Anna' });
  const derived = anna
    .withTimeout(MINUTE)
    .withMethod('/other.Service/Method')
    .withMetadata(new Metadata())
    .withSignal(new AbortController().signal)
    .withValue(other, 7);
  // Without a cast.
  const name: string | undefined = derived.value(user)?.name;
  const number: number | undefined = derived.value(other);
  t.strictSame([name, number], ['Anna', 7]);
  t.strictSame([call.value(user), anna.value(other)], [undefined, undefined]);
  const bert = derived.withValue(user, { name: 'Bert' });
  t.strictSame([bert.value(user)?.name, derived.value(user)?.name, bert.value(other)], ['Bert', 'Anna', 7]);
  // @ts-expect-error: a key is no key of another type
  const wrong: ContextKey<string> = other;
  // @ts-expect-error: nor does it take a value of another
  t.strictSame(call.withValue(wrong, 8).value(other), 8);
  for (const nonsense of [undefined, null, 'user', Symbol('user')]) {
    t.throws(() => call.withValue(nonsense as unknown as ContextKey<number>, 1), TypeError);
  }
});
