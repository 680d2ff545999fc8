import t from 'tap';
import { inTurns } from '../../lib/client/channel/pick-first.js';
import { Code } from '../../lib/index.js';
import { FakeAddresses, someAddresses } from './fake-addresses.js';
import { CLOSED, REFUSED, ticked } from './fake-backend.js';

const ADDRESSES = someAddresses(3);

function pickFirst(
  t: ConstructorParameters<typeof FakeAddresses>[0],
  targets: readonly string[] = ADDRESSES,
) {
  return new FakeAddresses(t, targets, { loadBalancing: 'pick_first' });
}

t.test('one address after the other is dialled, 250 ms apart, until one answers', async (t) => {
  const world = pickFirst(t);
  const call = world.call();
  t.equal(world.dialled.length, 1);
  await world.clock.advance(200);
  t.equal(world.dialled.length, 1);
  await world.clock.advance(50);
  t.equal(world.dialled.length, 2);
  t.equal(world.channel.state.name, 'CONNECTING');
  const [first, second] = world.dialled as [string, string];
  world.lastTo(second).ready();
  await ticked();
  t.equal(call.connection, world.lastTo(second));
  t.ok(world.lastTo(first).isDestroyed, 'the loser is let go');
  await world.clock.advance(60_000, 1000);
  t.equal(world.dialled.length, 2);
  t.equal(world.channel.state.name, 'READY');
});

t.test('the first address that answers is used alone', async (t) => {
  const world = pickFirst(t);
  world.call();
  await world.ready();
  await world.clock.advance(1_000);
  t.same(world.spread(world.calls(20)), { [world.dialled[0]!]: 20 });
  t.equal(world.dialled.length, 1);
});

t.test('where several answer at once, one is used, and the others are let go', async (t) => {
  const world = pickFirst(t);
  const calls = world.calls(5);
  await world.clock.advance(500);
  t.equal(world.dialled.length, 3);
  await world.ready();
  t.equal(Object.keys(world.spread([...calls, ...world.calls(5)])).length, 1);
  const left = ADDRESSES.filter(
    (address) => world.lastTo(address).isShutDown || world.lastTo(address).isDestroyed,
  );
  t.equal(left.length, 2);
});

t.test('where one fails, the next is dialled at once', async (t) => {
  const world = pickFirst(t);
  const call = world.call();
  for (let failed = 0; failed < 2; failed++) {
    t.equal(world.dialled.length, failed + 1);
    world.lastTo(world.dialled.at(-1)!).end(REFUSED);
    await ticked();
  }
  t.equal(world.dialled.length, 3);
  t.equal(call.failure, undefined);
  await world.ready();
  t.ok(call.connection);
});

t.test('one failure has but one other dialled at once', async (t) => {
  const world = pickFirst(t, someAddresses(6));
  world.call();
  await world.clock.advance(250);
  // Both changes are told when it has failed already.
  world.lastTo(world.dialled[1]!).end(REFUSED);
  await ticked();
  t.equal(world.dialled.length, 3);
  world.lastTo(world.dialled[2]!).end(REFUSED);
  world.lastTo(world.dialled[0]!).end(REFUSED);
  await ticked();
  t.equal(world.dialled.length, 5, 'two failures, two others');
});

t.test(
  'calls fail when all addresses have failed, after one attempt each, with the last cause',
  async (t) => {
    const world = pickFirst(t);
    const [call, patient] = [world.call(), world.call(true)];
    for (let failed = 0; failed < 3; failed++) {
      t.equal(call.failure, undefined);
      world.lastTo(world.dialled.at(-1)!).end({ ...REFUSED, text: `refused ${failed + 1}` });
      await ticked();
    }
    t.match(call.failure, {
      error: { code: Code.UNAVAILABLE, message: 'cannot connect to backend:1: refused 3' },
    });
    t.equal(world.channel.state.name, 'TRANSIENT_FAILURE');
    t.equal(world.call().failure?.error.message, 'cannot connect to backend:1: refused 3');
    t.same([...world.dialled].sort(), ADDRESSES);
    await world.clock.advance(1_500);
    t.ok(world.dialled.length > 3, 'they are dialled again when their backoff is over');
    await world.ready();
    t.ok(patient.connection);
  },
);

t.test('those that have failed are dialled again beside one that swallows all', async (t) => {
  const world = pickFirst(t, someAddresses(2));
  const call = world.call();
  const silent = world.dialled[0]!;
  await world.clock.advance(250);
  const refusing = world.dialled[1]!;
  world.lastTo(refusing).end(REFUSED);
  await world.clock.advance(1_400);
  t.equal(world.to(silent).length, 1);
  t.equal(world.to(refusing).length, 2);
  world.lastTo(refusing).ready();
  await ticked();
  t.equal(call.connection, world.lastTo(refusing));
});

t.test('when the address that is used is lost, the next call looks for one again', async (t) => {
  const world = pickFirst(t);
  world.call();
  await world.ready();
  const used = world.lastTo(world.dialled[0]!);
  used.hasAnswered = true;
  used.end(CLOSED);
  await ticked();
  t.equal(world.channel.state.name, 'IDLE');
  await world.clock.advance(60_000, 1000);
  t.equal(world.dialled.length, 1, 'not before');
  const call = world.call();
  t.equal(world.dialled.length, 2);
  await world.ready();
  t.ok(call.connection);
});

t.test('a call that comes the moment its address is lost does not fail while there are others', async (t) => {
  const world = pickFirst(t);
  world.call();
  await world.ready();
  const used = world.lastTo(world.dialled[0]!);
  used.hasAnswered = true;
  used.end(CLOSED);
  const call = world.call();
  t.equal(world.dialled.length, 2, 'before anybody is told');
  world.lastTo(world.dialled[1]!).end(REFUSED);
  await ticked();
  t.equal(call.failure, undefined);
  await world.ready();
  t.ok(call.connection);
});

t.test('an address that is used gets more connections when it is full; it stays the only one', async (t) => {
  const world = pickFirst(t);
  world.call();
  await world.ready(1);
  const call = world.call();
  await world.ready(1);
  t.ok(call.connection);
  t.equal(new Set(world.dialled).size, 1);
});

t.test('one that has been let go of is not taken for ready when it says so', async (t) => {
  const world = pickFirst(t);
  world.call();
  await world.clock.advance(500);
  const [first, second] = world.dialled as [string, string];
  world.lastTo(second).ready();
  await ticked();
  t.ok(world.lastTo(first).isDestroyed);
  world.lastTo(first).ready();
  await ticked();
  const states = world.channel.addresses.map(({ address, state }) => `${address} ${state.name}`);
  t.ok(states.includes(`${first} IDLE`), states.join());
});

t.test('an address that may have no connection now is passed over at once', async (t) => {
  const world = new FakeAddresses(t, ADDRESSES, { loadBalancing: 'pick_first' }, { maxConnections: 1 });
  for (let used = 0; used < 2; used++) {
    world.call();
    await world.ready();
    const last = world.lastTo(world.dialled.at(-1)!);
    last.hasAnswered = true;
    last.goAway();
    await ticked();
  }
  const call = world.call();
  t.equal(new Set(world.dialled).size, 3);
  await world.ready();
  t.ok(call.connection);
});

t.test('the families are tried in turns, the first at random', async (t) => {
  const addresses = (count: number, host: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => ({
      address: { host: host(i), port: 1 },
      authority: undefined,
      serverName: host(i),
    }));
  const all = [...addresses(5, (i) => `10.0.0.${i}`), ...addresses(3, (i) => `fd00::${i}`)];
  const firsts = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const ordered = inTurns(all).map(({ address }) => (address as { host: string }).host);
    t.same([...ordered].sort(), all.map(({ address }) => address.host).sort());
    const families = ordered.map((host) => (host.includes(':') ? '6' : '4')).join('');
    if (!['46464644', '64646444'].includes(families)) t.fail(families);
    firsts.add(ordered[0]!);
  }
  t.equal(firsts.size, 8);
  t.same(inTurns([]), []);
});
