import { AsyncLocalStorage } from 'node:async_hooks';
import t, { type Test } from 'tap';
import type { Failure, FailureReason } from '../../lib/call/outcome.js';
import { Code, StatusError } from '../../lib/index.js';
import { FakeAddresses, someAddresses } from './fake-addresses.js';
import { CLOSED, type FakeCall } from './fake-backend.js';

const [A, B, C, D] = someAddresses(4) as [string, string, string, string];

function failure(code: Code, reason: FailureReason): Failure {
  return { error: StatusError.withoutStack(code, 'ill'), reason };
}

const UNAVAILABLE = failure(Code.UNAVAILABLE, 'backend_status');

async function worldOf(t: Test, targets: readonly string[], ejectsOutliers = true): Promise<FakeAddresses> {
  const world = new FakeAddresses(t, targets, { ejectsOutliers });
  world.call();
  await world.ready();
  return world;
}

/** Begins calls until some are at an address. */
function callsAt(world: FakeAddresses, address: string, count: number): FakeCall[] {
  const found: FakeCall[] = [];
  for (let i = 0; found.length < count; i++) {
    if (i > 1000) throw new Error(`${address} gets no calls`);
    const call = world.call();
    if (world.to(address).includes(call.connection!)) found.push(call);
    else call.end();
  }
  return found;
}

function fail(world: FakeAddresses, address: string, count = 5, by = UNAVAILABLE): void {
  for (const call of callsAt(world, address, count)) call.end(by);
}

function ejected(world: FakeAddresses): string[] {
  return world.channel.addresses
    .filter(({ isEjected }) => isEjected)
    .map(({ address }) => address)
    .sort();
}

t.test('an address where five calls in a row have failed is left out for 30 s', async (t) => {
  const world = await worldOf(t, [A, B]);
  fail(world, A, 4);
  t.same(ejected(world), []);
  fail(world, A, 1);
  t.same(ejected(world), [A]);
  t.same(world.spread(world.calls(10)), { [B]: 10 });
  await world.clock.advance(29_900);
  t.same(world.spread(world.calls(10)), { [B]: 10 });
  await world.clock.advance(200);
  t.same(ejected(world), []);
  t.same(world.spread(world.calls(10)), { [A]: 5, [B]: 5 });
});

t.test(
  'each time it is left out for 30 s longer, up to 300 s, and is forgiven as long as it is good',
  async (t) => {
    const world = await worldOf(t, [A, B]);
    const times: number[] = [];
    for (let i = 0; i < 12; i++) {
      fail(world, A);
      const begun = performance.now();
      while (ejected(world).length > 0) await world.clock.advance(1000, 1000);
      times.push(Math.round((performance.now() - begun) / 30_000));
    }
    t.same(times, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
    await world.clock.advance(11 * 30_000, 1000);
    fail(world, A);
    const begun = performance.now();
    while (ejected(world).length > 0) await world.clock.advance(1000, 1000);
    t.equal(Math.round((performance.now() - begun) / 30_000), 2, '12 times, less 11, and this one');
  },
);

t.test('a success in between begins the row anew', async (t) => {
  const world = await worldOf(t, [A, B]);
  fail(world, A, 4);
  callsAt(world, A, 1)[0]!.end();
  fail(world, A, 4);
  t.same(ejected(world), []);
});

for (const [what, by] of [
  ['a deadline', failure(Code.DEADLINE_EXCEEDED, 'deadline')],
  ['a cancel', failure(Code.CANCELLED, 'client_cancelled')],
  ['a limit', failure(Code.RESOURCE_EXHAUSTED, 'limit')],
  ['what a director says', failure(Code.UNAVAILABLE, 'director')],
] as const) {
  t.test(`${what} says nothing of an address`, async (t) => {
    const world = await worldOf(t, [A, B]);
    fail(world, A, 4);
    fail(world, A, 10, by);
    t.same(ejected(world), []);
    fail(world, A, 1);
    t.same(ejected(world), [A], 'nor that it is good');
  });
}

t.test('another status than UNAVAILABLE is an answer', async (t) => {
  const world = await worldOf(t, [A, B]);
  fail(world, A, 4);
  fail(world, A, 1, failure(Code.INTERNAL, 'backend_status'));
  fail(world, A, 4);
  t.same(ejected(world), []);
});

for (const [targets, most] of [
  [[A, B], 1],
  [[A, B, C], 1],
  [[A, B, C, D], 2],
] as const) {
  t.test(`of ${targets.length} addresses ${most} are left out at most`, async (t) => {
    const world = await worldOf(t, targets);
    for (const address of targets) if (ejected(world).length < most) fail(world, address);
    for (const address of targets) if (!ejected(world).includes(address)) fail(world, address, 20);
    t.equal(ejected(world).length, most);
  });
}

t.test('those that are left out are used when no other is ready', async (t) => {
  const world = await worldOf(t, [A, B]);
  fail(world, A);
  world.lastTo(B).end(CLOSED);
  await world.clock.advance(50);
  t.same(world.spread(world.calls(5)), { [A]: 5 });
  t.equal(world.channel.state.name, 'READY');
});

t.test('those that are left out are used when all others are full', async (t) => {
  const world = await worldOf(t, [A, B]);
  fail(world, A);
  world.lastTo(B).allow(world.lastTo(B).streamCount + 1);
  t.same(world.spread(world.calls(3)), { [A]: 2, [B]: 1 });
});

t.test('what ends while an address is left out does not count when it is back', async (t) => {
  const world = await worldOf(t, [A, B]);
  const late = callsAt(world, A, 10);
  fail(world, A);
  for (const call of late) call.end(UNAVAILABLE);
  await world.clock.advance(30_100);
  t.same(ejected(world), []);
  fail(world, A, 4);
  t.same(ejected(world), []);
  fail(world, A, 1);
  t.same(ejected(world), [A]);
});

t.test('where other addresses go, some of those that are left out come back', async (t) => {
  const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
  const world = new FakeAddresses(t, ['backend.test:1']);
  world.hosts = hosts;
  world.call();
  await world.clock.advance(50);
  await world.ready();
  // So that they are still left out when the name is resolved again.
  await world.clock.advance(29_000, 500);
  fail(world, A);
  fail(world, B);
  t.same(ejected(world), [A, B]);
  await world.change(hosts.slice(0, 2));
  t.equal(ejected(world).length, 1);
  await world.change(hosts.slice(0, 1));
  t.same(ejected(world), []);
});

for (const [what, targets, ejectsOutliers] of [
  ['where that is not wanted', [A, B], false],
  ['of one address', [A], true],
] as const) {
  t.test(`nothing is left out ${what}`, async (t) => {
    const world = await worldOf(t, targets, ejectsOutliers);
    fail(world, A, 20);
    t.same(ejected(world), []);
  });
}

t.test('no async context of a call is kept by the time that an address is left out', async (t) => {
  const world = await worldOf(t, [A, B]);
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((...given: Parameters<typeof setTimeout>) => {
    if (given[1]! > 1000) seen.push(storage.getStore());
    return setTimeout(...given);
  }) as typeof setTimeout;
  t.teardown(() => {
    globalThis.setTimeout = setTimeout;
  });
  storage.run('a call', () => fail(world, A));
  t.same(seen, [undefined]);
});
