import { AsyncLocalStorage } from 'node:async_hooks';
import t, { type Test } from 'tap';
import { LOAD_BALANCING, type LoadBalancing } from '../../lib/client/channel/load-balancing.js';
import { Code } from '../../lib/index.js';
import { FakeAddresses, someAddresses } from './fake-addresses.js';
import { CLOSED, REFUSED, ticked } from './fake-backend.js';

const [ONE, TWO, THREE] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'] as const;
const [A, B, C] = someAddresses(3) as [string, string, string];

/** A channel to a name that stands for these. */
function named(
  t: Test,
  hosts: readonly string[],
  loadBalancing: LoadBalancing = 'round_robin',
): FakeAddresses {
  const world = new FakeAddresses(t, ['backend.test:1'], { loadBalancing });
  world.hosts = hosts;
  return world;
}

/** The same, with a call and connections to all. */
async function connected(t: Test, hosts: readonly string[], loadBalancing?: LoadBalancing) {
  const world = named(t, hosts, loadBalancing);
  const call = world.call();
  await ticked();
  await world.ready();
  t.ok(call.connection);
  return { world, call };
}

for (const loadBalancing of LOAD_BALANCING) {
  t.test(`${loadBalancing}: calls wait for a name to be resolved, and for a connection`, async (t) => {
    const world = named(t, [ONE, TWO], loadBalancing);
    t.same(world.channel.addresses, []);
    t.equal(world.channel.state.name, 'IDLE');
    const calls = world.calls(10);
    t.equal(world.channel.state.name, 'CONNECTING');
    t.same(world.dialled, []);
    await ticked();
    t.equal(world.channel.addresses.length, 2);
    await world.ready();
    t.equal(world.spread(calls).none, undefined);
    t.equal(world.resolutions, 1);
  });

  t.test(`${loadBalancing}: connect() makes a connection to what a name stands for`, async (t) => {
    const world = named(t, [ONE, TWO], loadBalancing);
    world.channel.connect();
    await ticked();
    t.not(world.dialled.length, 0);
    await world.ready();
    t.equal(world.channel.state.name, 'READY');
  });

  t.test(
    `${loadBalancing}: addresses that stay keep their connections; calls at others finish`,
    async (t) => {
      const { world } = await connected(t, [ONE, TWO], loadBalancing);
      const used = world.dialled[0] === A ? A : B;
      const calls = world.calls(10);
      const [stays, leaves] = used === A ? [ONE, TWO] : [TWO, ONE];
      const dialled = world.to(used).length;
      await world.change([stays, THREE]);
      t.equal(world.to(used).length, dialled);
      t.notOk(world.lastTo(used).isShutDown);
      for (const each of world.to(`${leaves}:1`)) t.ok(each.isShutDown && !each.isDestroyed);
      for (const call of calls) call.end();
      t.same(world.channel.addresses.map(({ address }) => address).sort(), [`${stays}:1`, C].sort());
      const spread = world.spread(world.calls(10));
      t.equal(spread[`${leaves}:1`], undefined);
      t.equal(spread.none, undefined);
    },
  );

  t.test(`${loadBalancing}: where all addresses change, the next calls wait for the new ones`, async (t) => {
    const { world, call } = await connected(t, [ONE, TWO], loadBalancing);
    const old = call.connection!;
    await world.change([THREE]);
    t.ok(old.isShutDown);
    const next = world.calls(3);
    t.same(world.spread(next), { none: 3 });
    await world.ready();
    t.same(world.spread(next), { [C]: 3 });
    call.end();
    t.equal(world.channel.addresses[0]!.calls, 3);
  });

  t.test(`${loadBalancing}: from one address to several and back, without a new connection`, async (t) => {
    const { world } = await connected(t, [ONE], loadBalancing);
    for (const hosts of [[ONE, TWO], [ONE], [TWO, ONE, THREE], [ONE]]) {
      await world.change(hosts);
      t.equal(world.call().connection, world.to(A)[0]);
      t.equal(world.to(A).length, 1);
    }
    t.notOk(world.lastTo(A).isShutDown);
  });

  t.test(
    `${loadBalancing}: an address that is added while it is dialled is found when it is ready`,
    async (t) => {
      const world = named(t, [ONE], loadBalancing);
      world.channel.connect();
      await ticked();
      t.same(world.dialled, [A]);
      await world.change([ONE, TWO]);
      world.lastTo(A).ready();
      await ticked();
      t.equal(world.channel.state.name, 'READY');
      t.equal(world.call().connection, world.lastTo(A));
    },
  );

  t.test(
    `${loadBalancing}: an address that was known before the others failed is not forgotten`,
    async (t) => {
      const { world } = await connected(t, [ONE, TWO], loadBalancing);
      await world.change([]);
      t.equal(world.spread(world.calls(4)).none, undefined);
      t.equal(world.channel.addresses.length, 2);
    },
  );

  t.test(`${loadBalancing}: close() lets calls finish, also at addresses that are gone`, async (t) => {
    const { world, call } = await connected(t, [ONE, TWO], loadBalancing);
    await world.change([THREE]);
    const next = world.call();
    await world.ready();
    let isClosed = false;
    const closed = world.channel.close().then(() => {
      isClosed = true;
    });
    next.end();
    for (const address of [A, B, C]) {
      for (const each of world.to(address)) if (each !== call.connection && !each.hasEnded) each.end(CLOSED);
    }
    await ticked();
    t.notOk(isClosed, 'not while one runs');
    call.end();
    call.connection!.end(CLOSED);
    await closed;
    t.equal(world.call(true).failure?.error.message, 'the connection to backend:1 is closed');
  });

  t.test(`${loadBalancing}: destroy() closes all connections, also to addresses that are gone`, async (t) => {
    const { world, call } = await connected(t, [ONE, TWO], loadBalancing);
    await world.change([THREE, TWO]);
    world.call();
    await ticked();
    world.channel.destroy();
    t.ok(call.connection!.isDestroyed);
    for (const address of [A, B, C]) {
      for (const each of world.to(address)) t.ok(each.isDestroyed || each.hasEnded);
    }
    const dialled = world.dialled.length;
    const { resolutions } = world;
    await world.clock.advance(60_000, 500);
    t.equal(world.dialled.length, dialled);
    t.equal(world.resolutions, resolutions);
    t.equal(world.channel.state.name, 'SHUTDOWN');
  });
}

for (const end of ['close', 'destroy'] as const) {
  t.test(`${end}() before a name is resolved, and while it is, leaves nothing`, async (t) => {
    const world = named(t, [ONE, TWO]);
    const call = world.call(true);
    const ended = world.channel[end]();
    t.equal(call.failure?.error.message, 'the connection to backend:1 is closed');
    await ended;
    await world.clock.advance(60_000, 500);
    t.same(world.dialled, []);
    t.equal(world.resolutions, 1);
    t.same(world.channel.addresses, []);
  });
}

t.test('close() of a channel that has not begun', async (t) => {
  const world = named(t, [ONE]);
  await world.channel.close();
  t.equal(world.channel.state.name, 'SHUTDOWN');
  t.equal(world.resolutions, 0);
});

t.test(
  'calls to a name that is unknown fail, by one resolution; those that wait for ready go on',
  async (t) => {
    const world = named(t, []);
    const patient = world.call(true);
    const calls = world.calls(1000);
    await ticked();
    const late = world.calls(1000);
    for (const { failure } of [...calls, ...late]) {
      if (failure?.error.code !== Code.UNAVAILABLE) t.fail('a call that did not fail');
    }
    const message = 'cannot connect to backend:1: the name "backend.test" is not known';
    t.equal(calls[0]!.failure?.error.message, message);
    t.match(world.channel.state, { name: 'TRANSIENT_FAILURE', error: { message } });
    t.equal(world.resolutions, 1);
    await world.clock.advance(14_000);
    t.equal(world.resolutions, 3, 'in 14 s, since a call waits');
    world.hosts = [ONE];
    await world.clock.advance(2_000);
    await world.ready();
    t.ok(patient.connection);
  },
);

t.test('no name is resolved while nobody calls', async (t) => {
  const world = named(t, []);
  world.call();
  await world.clock.advance(60_000, 500);
  t.equal(world.resolutions, 1);
});

t.test(
  'a name is resolved again when a connection is lost or cannot be made, at most every 5 s',
  async (t) => {
    const { world, call } = await connected(t, [ONE, TWO]);
    await world.clock.advance(6_000);
    t.equal(world.resolutions, 1);
    call.connection!.end(CLOSED);
    await world.clock.advance(50);
    t.equal(world.resolutions, 2);
    for (let i = 0; i < 100; i++) {
      world.call();
      for (const each of [...world.to(A), ...world.to(B)])
        if (!each.hasEnded && !each.wasReady) each.end(REFUSED);
      await world.clock.advance(100, 100);
    }
    t.equal(world.resolutions, 4, 'in 10 s');
  },
);

t.test('every 30 s while there are connections, and not when all are closed for want of calls', async (t) => {
  const { world, call } = await connected(t, [ONE]);
  await world.clock.advance(91_000, 500);
  t.equal(world.resolutions, 4);
  call.end();
  call.connection!.hasAnswered = true;
  call.connection!.end(CLOSED);
  await world.clock.advance(600_000, 1000);
  t.ok(world.resolutions <= 6, `${world.resolutions}`);
});

t.test('what a policy lets go of has no name resolved', async (t) => {
  const world = named(t, [ONE, TWO, THREE], 'pick_first');
  world.call();
  await world.clock.advance(600);
  t.equal(world.dialled.length, 3);
  world.lastTo(B).ready();
  await world.clock.advance(25_000, 500);
  t.equal(world.resolutions, 1);
});

t.test('pick_first: what looks for an address goes on when all of them change', async (t) => {
  const world = named(t, [ONE, TWO], 'pick_first');
  world.channel.connect();
  await ticked();
  await world.change([THREE, '10.0.0.4']);
  t.ok([C, '10.0.0.4:1'].includes(world.dialled.at(-1)!));
  await world.ready();
  t.equal(world.channel.state.name, 'READY');
});

t.test('pick_first: addresses that are added are worth a look when all others have failed', async (t) => {
  const world = named(t, [ONE, TWO], 'pick_first');
  world.call();
  await ticked();
  for (let i = 0; i < 2; i++) {
    world.lastTo(world.dialled.at(-1)!).end(REFUSED);
    await ticked();
  }
  t.equal(world.channel.state.name, 'TRANSIENT_FAILURE');
  await world.change([ONE, TWO, THREE]);
  t.equal(world.channel.state.name, 'IDLE');
  t.equal(world.call().failure, undefined);
});

t.test('waitForStateChange tells of each state of a name', async (t) => {
  const world = named(t, [ONE, TWO], 'pick_first');
  const states: string[] = [];
  const watch = async (): Promise<void> => {
    let { name } = world.channel.state;
    while (name !== 'SHUTDOWN') {
      ({ name } = await world.channel.waitForStateChange(name));
      states.push(name);
    }
  };
  void watch();
  world.call();
  await ticked();
  for (let i = 0; i < 2; i++) {
    world.lastTo(world.dialled.at(-1)!).end(REFUSED);
    await ticked();
  }
  await world.clock.advance(1_500);
  world.call();
  await ticked();
  await world.ready();
  void world.channel.close();
  await ticked();
  t.same(states, ['CONNECTING', 'TRANSIENT_FAILURE', 'CONNECTING', 'READY', 'SHUTDOWN']);
});

t.test('no timer keeps the async context of a call', async (t) => {
  const world = named(t, [ONE, TWO], 'pick_first');
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const { setTimeout, setInterval } = globalThis;
  globalThis.setTimeout = ((...given: Parameters<typeof setTimeout>) => {
    seen.push(storage.getStore());
    return setTimeout(...given);
  }) as typeof setTimeout;
  globalThis.setInterval = ((...given: Parameters<typeof setInterval>) => {
    seen.push(storage.getStore());
    return setInterval(...given);
  }) as typeof setInterval;
  t.teardown(() => Object.assign(globalThis, { setTimeout, setInterval }));
  await storage.run('a call', async () => {
    world.call(true);
    await ticked();
    for (let i = 0; i < 2; i++) {
      world.lastTo(world.dialled.at(-1)!).end(REFUSED);
      await ticked();
    }
    world.call(true);
    await world.clock.advance(1_500);
    await world.ready();
  });
  t.ok(seen.length >= 4, `${seen.length} timers`);
  t.same(new Set(seen), new Set([undefined]));
});
