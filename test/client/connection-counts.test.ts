import t, { type Test } from 'tap';
import type { Failure } from '../../lib/call/outcome.js';
import { Code, StatusError } from '../../lib/grpc/status.js';
import { ErrorCode } from '../../lib/port/error-code.js';
import {
  brokenProtocol,
  CLOSED_HERE,
  goneAway,
  NOT_ALIVE,
  PINGED_BACKEND_TOO_OFTEN,
} from '../../lib/transport/connection-ends.js';
import { FakeAddresses, someAddresses } from './fake-addresses.js';
import { CLOSED, type FakeConnection, REFUSED, ticked } from './fake-backend.js';

const [A, B, C, D] = someAddresses(4) as [string, string, string, string];
const UNAVAILABLE: Failure = {
  error: StatusError.withoutStack(Code.UNAVAILABLE, 'ill'),
  reason: 'backend_status',
};
const NONE = { connectionFailures: 0, ejections: 0 };

/** A channel to one address, with a connection that is ready. */
async function ready(t: Test): Promise<{ world: FakeAddresses; connection: FakeConnection }> {
  const world = new FakeAddresses(t, [A]);
  world.call();
  await world.ready();
  return { world, connection: world.lastTo(A) };
}

/** When the test's clock is now. */
function clock(): number {
  return performance.timeOrigin + performance.now();
}

t.test('attempts that fail are counted, each once', async (t) => {
  const world = new FakeAddresses(t, [A]);
  t.same(world.channel.counts, NONE);
  t.equal(world.channel.addresses[0]!.lastFailure, undefined);
  const calls = world.calls(5).concat(world.call(true));
  world.lastTo(A).end(REFUSED);
  await ticked();
  t.equal(calls[0]!.failure?.error.message, world.channel.addresses[0]!.lastFailure?.text);
  t.same(world.channel.counts, { connectionFailures: 1, ejections: 0 });
  await world.clock.advance(2000);
  world.lastTo(A).end(CLOSED);
  t.same(world.channel.counts, { connectionFailures: 2, ejections: 0 }, 'closed before it was ready');
});

for (const [how, end] of [
  ['reset', { ...CLOSED, cause: 'reset', text: 'it was reset by the peer' }],
  ['closed without a GOAWAY', CLOSED],
  ['found dead', NOT_ALIVE],
  ['ended for what its peer sent', brokenProtocol(ErrorCode.PROTOCOL_ERROR, 'nonsense')],
] as const) {
  t.test(`a connection that is ${how} is counted, and its address tells of it`, async (t) => {
    const { world, connection } = await ready(t);
    connection.end(end);
    await ticked();
    t.same(world.channel.counts, { connectionFailures: 1, ejections: 0 });
    const text = `the connection to backend:1 was lost: ${end.text}`;
    t.same(world.channel.addresses[0]!.lastFailure, { text, at: clock() });
  });
}

for (const [what, end] of [
  ['an error', goneAway(ErrorCode.INTERNAL_ERROR, undefined, undefined)],
  ['too_many_pings', PINGED_BACKEND_TOO_OFTEN],
] as const) {
  t.test(`a connection that its backend ends by GOAWAY with ${what} is counted, once`, async (t) => {
    const { world, connection } = await ready(t);
    connection.goAway();
    t.same(world.channel.counts, NONE);
    connection.end(end);
    t.same(world.channel.counts, { connectionFailures: 1, ejections: 0 });
  });
}

t.test('a connection that its backend ends in order is not counted', async (t) => {
  const { world, connection } = await ready(t);
  connection.goAway();
  connection.end(goneAway(ErrorCode.NO_ERROR, undefined, undefined));
  t.same(world.channel.counts, NONE);
  t.equal(world.channel.addresses[0]!.lastFailure, undefined);
});

for (const isReady of [true, false]) {
  t.test(`${isReady ? 'a connection' : 'an attempt'} that is ended here is not counted`, async (t) => {
    const world = new FakeAddresses(t, [A]);
    world.call();
    if (isReady) await world.ready();
    void world.channel.close();
    world.lastTo(A).end(CLOSED_HERE);
    t.same(world.channel.counts, NONE);
  });
}

t.test('an attempt that is given up for another address is not counted', async (t) => {
  const world = new FakeAddresses(t, [A, B], { loadBalancing: 'pick_first' });
  world.call();
  await world.clock.advance(300);
  const first = world.dialled[0]!;
  world.lastTo(world.dialled[1]!).ready();
  await ticked();
  t.equal(world.lastTo(first).isDestroyed, true);
  world.lastTo(first).end(REFUSED);
  t.same(world.channel.counts, NONE);
});

t.test('the last failure of an address is kept when it is reached again', async (t) => {
  const { world, connection } = await ready(t);
  const before = clock();
  connection.end(NOT_ALIVE);
  await world.clock.advance(5000);
  world.call();
  await world.ready();
  const [address] = world.channel.addresses;
  t.equal(address!.state.name, 'READY');
  t.match(address!.lastFailure, { text: /\(keepalive\)$/, at: before });
});

t.test('names that cannot be resolved are not counted', async (t) => {
  const world = new FakeAddresses(t, ['backend.test:1']);
  const call = world.call();
  await world.clock.advance(100);
  t.match(call.failure?.error.message, /cannot connect/);
  t.same(world.channel.counts, NONE);
});

t.test('what addresses have failed that the backend has no more stays counted', async (t) => {
  const world = new FakeAddresses(t, ['backend.test:1'], { ejectsOutliers: true });
  world.hosts = ['10.0.0.1', '10.0.0.2'];
  world.call();
  await world.clock.advance(0);
  await world.ready();
  world.lastTo(A).end(NOT_ALIVE);
  const leaving = world.lastTo('10.0.0.2:1');
  await world.change(['10.0.0.3']);
  t.same(
    world.channel.addresses.map(({ address }) => address),
    ['10.0.0.3:1'],
  );
  t.same(world.channel.counts, { connectionFailures: 1, ejections: 0 });
  leaving.end(NOT_ALIVE);
  t.same(world.channel.counts, { connectionFailures: 2, ejections: 0 }, 'also while it leaves');
});

t.test('each time that an address is left out is counted, not when it comes back', async (t) => {
  const world = new FakeAddresses(t, [A, B, C, D], { ejectsOutliers: true });
  world.call();
  await world.ready();
  const fail = (address: string): void => {
    for (let failures = 0; failures < 5; ) {
      const call = world.call();
      const isThere = world.to(address).includes(call.connection!);
      if (isThere) failures++;
      call.end(isThere ? UNAVAILABLE : undefined);
    }
  };
  fail(A);
  fail(B);
  t.same(world.channel.counts, { connectionFailures: 0, ejections: 2 });
  await world.clock.advance(31_000);
  t.same(world.channel.counts, { connectionFailures: 0, ejections: 2 });
  fail(A);
  t.same(world.channel.counts, { connectionFailures: 0, ejections: 3 });
});
