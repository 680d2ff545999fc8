import t from 'tap';
import { ClientShare } from '../../lib/client/channel/lanes.js';
import { Code } from '../../lib/index.js';
import { FakeAddresses, someAddresses } from './fake-addresses.js';
import { CLOSED, FakeCall, REFUSED, ticked } from './fake-backend.js';

const [A, B, C] = someAddresses(3) as [string, string, string];

t.test('round_robin: calls go to one address after the other', async (t) => {
  const world = new FakeAddresses(t, [A, B, C]);
  world.call();
  t.same(new Set(world.dialled), new Set([A, B, C]), 'the first call dials all');
  await world.ready();
  const calls = world.calls(30);
  t.same(world.spread(calls), { [A]: 10, [B]: 10, [C]: 10 });
  for (let i = 0; i + 3 <= 30; i += 3) {
    t.equal(Object.keys(world.spread(calls.slice(i, i + 3))).length, 3, 'in turns');
  }
});

t.test(
  'a call is served by the first address that is ready, while the others are being dialled',
  async (t) => {
    const world = new FakeAddresses(t, [A, B, C]);
    const calls = world.calls(3);
    world.lastTo(B).ready();
    await ticked();
    t.same(world.spread(calls), { [B]: 3 });
    t.same(world.spread(world.calls(3)), { [B]: 3 }, 'and so are those that come');
  },
);

t.test('an address that is lost is passed over at once, and dialled again by the next call', async (t) => {
  const world = new FakeAddresses(t, [A, B]);
  world.call();
  await world.ready();
  world.lastTo(A).hasAnswered = true;
  world.lastTo(A).end(CLOSED);
  await ticked();
  t.equal(world.to(A).length, 1, 'not before');
  t.same(world.spread(world.calls(10)), { [B]: 10 });
  t.equal(world.to(A).length, 2);
  await world.ready();
  t.same(world.spread(world.calls(10)), { [A]: 5, [B]: 5 });
});

t.test('an address that is dead fails no call, and is dialled again as its backoff allows', async (t) => {
  const world = new FakeAddresses(t, [A, B]);
  const calls = world.calls(5);
  world.lastTo(A).end(REFUSED);
  await ticked();
  t.same(world.spread(calls), { none: 5 });
  world.lastTo(B).ready();
  await ticked();
  t.same(world.spread(calls), { [B]: 5 });
  const attempts: number[] = [];
  const begun = performance.now();
  for (let i = 0; i < 200; i++) {
    const { length } = world.to(A);
    world.call().end();
    if (world.to(A).length > length) {
      attempts.push(performance.now() - begun);
      world.lastTo(A).end(REFUSED);
    }
    await world.clock.advance(100, 100);
  }
  t.ok(attempts.length >= 3 && attempts.length <= 5, `${attempts.length} attempts in 20 s`);
  t.ok(attempts[0]! >= 800);
  const dialled = world.to(A).length;
  await world.clock.advance(600_000, 1000);
  t.equal(world.to(A).length, dialled, 'not while there are no calls');
});

t.test('calls fail when all addresses do, with the cause of the last', async (t) => {
  const world = new FakeAddresses(t, [A, B, C]);
  const calls = world.calls(5);
  const patient = world.call(true);
  world.lastTo(B).end(REFUSED);
  world.lastTo(C).end(REFUSED);
  await ticked();
  t.equal(world.channel.state.name, 'CONNECTING');
  world.lastTo(A).end({ ...REFUSED, text: 'timed out' });
  await ticked();
  t.equal(world.channel.state.name, 'TRANSIENT_FAILURE');
  for (const { failure } of [...calls, world.call()]) {
    t.match(failure, {
      error: { code: Code.UNAVAILABLE, message: 'cannot connect to backend:1: timed out' },
    });
  }
  t.equal(world.dialled.length, 3, 'one attempt each');
  t.equal(patient.failure, undefined);
  await world.clock.advance(1_300);
  t.equal(world.dialled.length, 6);
  world.lastTo(C).ready();
  await ticked();
  t.same(world.spread([patient]), { [C]: 1 });
});

t.test('a call waits for one address beside others that swallow all', async (t) => {
  const world = new FakeAddresses(t, [A, B]);
  const call = world.call();
  world.lastTo(A).end(REFUSED);
  await world.clock.advance(1_400);
  t.equal(world.to(A).length, 2, 'dialled again when its own backoff is over');
  world.lastTo(A).ready();
  await ticked();
  t.same(world.spread([call]), { [A]: 1 });
});

t.test('where an address is full, the next is used', async (t) => {
  const world = new FakeAddresses(t, [A, B, C]);
  const first = world.call();
  world.lastTo(A).ready(1);
  world.lastTo(B).ready(4);
  world.lastTo(C).ready(2);
  await ticked();
  t.same(world.spread([first, ...world.calls(6)]), { [A]: 1, [B]: 4, [C]: 2 });
});

t.test('where all are full, they get more connections, each up to maxConnections', async (t) => {
  const world = new FakeAddresses(t, [A, B], {}, { maxConnections: 2 });
  world.call();
  await world.ready(1);
  const first = world.calls(1);
  t.ok(first[0]!.connection);
  t.equal(world.dialled.length, 2);
  const waiting = world.calls(10);
  for (let i = 0; i < 5; i++) await world.ready(1);
  t.same([world.to(A).length, world.to(B).length], [2, 2]);
  t.equal(world.spread(waiting).none, 8);
  first[0]!.end();
  t.equal(world.spread(waiting).none, 7);
});

t.test(
  'one call that waits gets a connection where there can be one more, whoever’s turn it is',
  async (t) => {
    const world = new FakeAddresses(t, [A, B, C], {}, { maxConnections: 2 });
    world.call();
    await world.ready(1);
    world.calls(2);
    for (const full of [A, B])
      while (world.to(full).length < 2) {
        world.call();
        if (world.to(C).length > 1) world.lastTo(C).end(REFUSED);
        await world.ready(1);
        await world.clock.advance(10_000, 1000);
      }
    for (let attempt = 0; attempt < 6; attempt++) {
      const { length } = world.to(C);
      const call = world.call();
      t.equal(world.to(C).length, length + 1);
      world.lastTo(C).end(REFUSED);
      world.channel.stopWaiting(call);
      await world.clock.advance(20_000, 1000);
    }
  },
);

t.test(
  'a call that waits dials the address whose backoff is over first, also if that has failed last',
  async (t) => {
    const world = new FakeAddresses(t, [A, B]);
    world.call(true);
    for (let i = 0; i < 5; i++) {
      const { length } = world.to(A);
      world.lastTo(A).end(REFUSED);
      while (world.to(A).length === length) await world.clock.advance(100);
    }
    world.lastTo(A).end(REFUSED);
    await world.clock.advance(100);
    world.lastTo(B).end(REFUSED);
    const [ofA, ofB] = [world.to(A).length, world.to(B).length];
    await world.clock.advance(1_400);
    t.same([world.to(A).length, world.to(B).length], [ofA, ofB + 1]);
  },
);

t.test('a call that was refused where nothing is left has another connection made at once', async (t) => {
  const world = new FakeAddresses(t, [A, B]);
  const call = world.call();
  world.lastTo(A).end(REFUSED);
  world.lastTo(B).ready();
  await ticked();
  const refusing = call.connection!;
  call.end();
  refusing.hasAnswered = true;
  refusing.end(CLOSED);
  await ticked();
  world.channel.waitRefused(call, refusing);
  t.equal(world.to(B).length, 2);
});

t.test('full addresses get more connections while another is being dialled', async (t) => {
  const world = new FakeAddresses(t, [A, B]);
  world.call();
  world.lastTo(A).ready(1);
  await ticked();
  const call = world.call();
  t.equal(world.to(A).length, 2);
  world.lastTo(A).ready();
  await ticked();
  t.same(world.spread([call]), { [A]: 1 });
});

t.test('a dead address is dialled for calls that wait beside full ones', async (t) => {
  const world = new FakeAddresses(t, [A, B], {}, { maxConnections: 1 });
  world.call();
  world.lastTo(A).ready(1);
  world.lastTo(B).end(REFUSED);
  await ticked();
  const call = world.call();
  t.equal(world.to(B).length, 1);
  await world.clock.advance(1_400);
  t.equal(world.to(B).length, 2);
  world.lastTo(B).ready();
  await ticked();
  t.same(world.spread([call]), { [B]: 1 });
});

t.test('a refused call goes to another address', async (t) => {
  const world = new FakeAddresses(t, [A, B]);
  world.call();
  await world.ready();
  for (let i = 0; i < 6; i++) {
    const call = world.call();
    const refusing = call.connection!;
    call.end();
    t.equal(world.channel.waitRefused(call, refusing), undefined);
    await ticked();
    t.not(call.connection, refusing);
  }
  t.equal(world.dialled.length, 2 + 2, 'one connection more for each address that refuses, in a second');
});

t.test('10 000 calls wait for several addresses, and all clients take turns', async (t) => {
  const world = new FakeAddresses(t, [A, B, C], {}, { maxConnections: 1 });
  const [greedy, modest] = [new ClientShare(), new ClientShare()];
  const served: ClientShare[] = [];
  const running: FakeCall[] = [];
  const onServed = (call: FakeCall): void => {
    served.push(call.client);
    running.push(call);
  };
  const start = (client: ClientShare) => new FakeCall(client, false, onServed).start(world.channel);
  for (let i = 0; i < 9_990; i++) start(greedy);
  for (let i = 0; i < 10; i++) start(modest);
  t.equal(start(greedy).failure?.error.code, Code.RESOURCE_EXHAUSTED);
  t.equal(world.dialled.length, 3);
  await world.ready(10);
  t.equal(served.length, 30);
  t.equal(served.filter((client) => client === modest).length, 10);
  while (running.length > 0) running.shift()!.end();
  t.equal(served.length, 10_000, 'nobody is left behind');
});

t.test('least_request: of two addresses that has the call which has fewer', async (t) => {
  const world = new FakeAddresses(t, [A, B], { loadBalancing: 'least_request' });
  world.call();
  await world.ready();
  const calls = world.calls(99);
  const spread = world.spread(calls);
  t.ok(Math.abs(spread[A]! - spread[B]!) <= 1, JSON.stringify(spread));
  for (const call of calls.filter(({ connection }) => connection === world.lastTo(A)).slice(0, 20))
    call.end();
  t.same(world.spread(world.calls(19)), { [A]: 19 });
});

t.test('least_request: the busiest of many gets no call, the others get as many each', async (t) => {
  const addresses = someAddresses(8);
  const world = new FakeAddresses(t, addresses, { loadBalancing: 'least_request' });
  const [busy] = addresses as [string];
  for (let i = 0; i < 50; i++) world.call();
  world.lastTo(busy).ready();
  await ticked();
  await world.ready();
  const calls: FakeCall[] = [];
  for (let i = 0; i < 700; i++) {
    const call = world.call();
    calls.push(call);
    call.end();
  }
  const spread = world.spread(calls);
  t.equal(spread[busy], undefined);
  for (const address of addresses.slice(1)) t.ok(spread[address]! > 60, JSON.stringify(spread));
});

t.test('a refused call prefers another address to another connection of the same', async (t) => {
  const world = new FakeAddresses(t, [A, B]);
  const full = world.calls(1);
  await world.ready(1);
  while (world.dialled.length < 4) {
    full.push(world.call());
    await world.ready(1);
  }
  t.same([world.to(A).length, world.to(B).length], [2, 2]);
  for (const call of full) call.end();
  for (const from of [A, B]) {
    for (const connection of world.to(from)) connection.allow(100);
  }
  const isLost = [false, false, false, true];
  for (const lost of isLost) {
    const call = world.call();
    const refusing = call.connection!;
    const [from] = Object.keys(world.spread([call]));
    if (lost) refusing.end(CLOSED);
    else call.end();
    t.equal(world.channel.waitRefused(call, refusing), undefined);
    // Whose turn it is would be the same address again.
    world.call().end();
    await ticked();
    t.same(world.spread([call]), { [from === A ? B : A]: 1 });
  }
});
