import t from 'tap';
import { ClientShare } from '../../lib/client/channel/lanes.js';
import { Code } from '../../lib/grpc/status.js';
import { ErrorCode } from '../../lib/port/error-code.js';
import { brokenProtocol, PINGED_BACKEND_TOO_OFTEN } from '../../lib/transport/connection-ends.js';
import {
  CLOSED,
  channelTo,
  destroyChannels,
  FakeCall,
  FakeDialer,
  REFUSED,
  TestClock,
  ticked,
} from './fake-backend.js';

t.teardown(destroyChannels);

t.test('10 000 calls to a dead backend make one attempt, and fail with its cause', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const waiting = Array.from({ length: 5000 }, () => new FakeCall().start(channel));
  t.equal(channel.state.name, 'CONNECTING');
  dialer.last.end(REFUSED);
  await ticked();
  const late = Array.from({ length: 5000 }, () => new FakeCall().start(channel));
  t.equal(dialer.connections.length, 1);
  for (const { failure } of [...waiting, ...late]) {
    if (failure?.error.code !== Code.UNAVAILABLE) t.fail('a call that did not fail');
  }
  t.equal(late[0]!.failure?.error.message, 'cannot connect to backend:1: connection refused');
  t.equal(late[0]!.failure?.reason, 'backend_connect');
  t.equal(channel.state.name, 'TRANSIENT_FAILURE');
});

t.test('attempts are spaced by 1 s, then 1.6 times as long, up to 120 s, each within 20 %', async (t) => {
  const clock = new TestClock(t);
  const dialer = new FakeDialer();
  const call = new FakeCall(undefined, true).start(channelTo(dialer));
  let expected = 1000;
  for (let attempt = 0; attempt < 13; attempt++) {
    const { length } = dialer.connections;
    const begun = performance.now();
    dialer.last.end(REFUSED);
    while (dialer.connections.length === length) await clock.advance(50);
    const waited = performance.now() - begun;
    t.ok(waited >= 0.8 * expected && waited <= 1.2 * expected + 50, `${waited} ms, about ${expected}`);
    expected = Math.min(1.6 * expected, 120_000);
  }
  t.equal(call.failure, undefined);
  dialer.last.ready();
  t.ok(call.connection);
});

t.test('the backoff counts from the start of the attempt', async (t) => {
  const clock = new TestClock(t);
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const call = new FakeCall().start(channel);
  new FakeCall(undefined, true).start(channel);
  await clock.advance(20_000);
  dialer.last.end(REFUSED);
  await ticked();
  t.equal(channel.state.name, 'TRANSIENT_FAILURE');
  t.match(call.failure?.error.message, /connection refused$/, 'those that waited fail all the same');
  await clock.advance(150);
  t.equal(dialer.connections.length, 2);
});

for (const when of ['before its SETTINGS', 'behind its SETTINGS', 'behind SETTINGS that allow no streams']) {
  t.test(`a backend that accepts and closes ${when} sees fewer than ten attempts in 10 s`, async (t) => {
    const clock = new TestClock(t);
    const dialer = new FakeDialer();
    const channel = channelTo(dialer);
    new FakeCall(undefined, true).start(channel);
    for (let i = 0; i < 100; i++) {
      new FakeCall().start(channel);
      if (when !== 'before its SETTINGS') dialer.last.ready(when === 'behind its SETTINGS' ? 1 : 0);
      dialer.last.end();
      await clock.advance(100);
    }
    t.ok(dialer.connections.length < 10, `${dialer.connections.length} attempts`);
  });
}

t.test('a connection that was of use and is lost is made again at once', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  for (let restart = 1; restart <= 5; restart++) {
    const call = new FakeCall().start(channel);
    t.equal(dialer.connections.length, restart);
    dialer.last.ready();
    t.ok(call.connection);
    dialer.last.hasAnswered = true;
    dialer.last.end();
    await ticked();
    t.equal(channel.state.name, 'IDLE');
  }
});

t.test('calls that wait when a connection is lost get the next one', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  new FakeCall().start(channel);
  dialer.last.ready(1);
  const call = new FakeCall().start(channel);
  dialer.connections[1]!.end(REFUSED);
  dialer.connections[0]!.hasAnswered = true;
  dialer.connections[0]!.end();
  await ticked();
  t.equal(call.failure, undefined);
  dialer.last.ready();
  t.equal(call.connection, dialer.last);
});

t.test(
  'one connection more is made where MAX_CONCURRENT_STREAMS leaves no room, up to maxConnections',
  async (t) => {
    const dialer = new FakeDialer();
    const channel = channelTo(dialer, 3);
    const calls = Array.from({ length: 5 }, () => new FakeCall().start(channel));
    for (let made = 1; made <= 3; made++) {
      t.equal(dialer.connections.length, made);
      dialer.last.ready(1);
    }
    t.equal(dialer.connections.length, 3);
    t.equal(calls.filter(({ connection }) => connection !== undefined).length, 3);
    dialer.connections[0]!.endStream();
    t.equal(calls[3]!.connection, dialer.connections[0]);
  },
);

t.test('connections that go away count under maxConnections until they have ended', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer, 2);
  for (let made = 0; made < 2; made++) {
    new FakeCall().start(channel);
    dialer.last.ready(1);
    dialer.last.hasAnswered = true;
    dialer.last.goAway();
  }
  const call = new FakeCall().start(channel);
  await ticked();
  t.equal(dialer.connections.length, 2);
  t.equal(call.failure, undefined);
  dialer.connections[0]!.end();
  await ticked();
  t.equal(dialer.connections.length, 3);
  dialer.last.ready();
  t.equal(call.connection, dialer.last);
});

t.test('a peer that allows no streams is not dialled once more', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const call = new FakeCall().start(channel);
  const [only] = dialer.connections;
  only!.ready(0);
  new FakeCall().start(channel);
  t.equal(dialer.connections.length, 1);
  only!.allow(1);
  t.equal(call.connection, only);
});

t.test('of many connections that all are idle, one stays for the 30 minutes', async (t) => {
  const clock = new TestClock(t);
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  for (let i = 0; i < 3; i++) {
    new FakeCall().start(channel);
    dialer.last.ready(1);
  }
  for (const connection of dialer.connections) connection.endStream();
  await clock.advance(29 * 60_000, 10_000);
  t.equal(dialer.connections.filter(({ isShutDown }) => !isShutDown).length, 1);
  t.equal(channel.state.name, 'READY');
});

t.test(
  'connections without streams close: surplus ones within ten seconds or so, the last after 30 minutes',
  async (t) => {
    const clock = new TestClock(t);
    const dialer = new FakeDialer();
    const channel = channelTo(dialer);
    new FakeCall().start(channel);
    new FakeCall().start(channel);
    dialer.last.ready(1);
    dialer.last.ready(1);
    const [first, second] = dialer.connections;
    await clock.advance(600_000, 10_000);
    t.notOk(first!.isShutDown, 'not while streams run');
    second!.endStream();
    await clock.advance(100_000, 10_000);
    t.ok(second!.isShutDown);
    second!.end();
    first!.endStream();
    await clock.advance(29 * 60_000, 10_000);
    t.notOk(first!.isShutDown);
    await clock.advance(3 * 60_000, 10_000);
    t.ok(first!.isShutDown);
    first!.end();
    await ticked();
    t.equal(channel.state.name, 'IDLE');
    new FakeCall().start(channel);
    t.equal(dialer.connections.length, 3, 'and are made again at once');
  },
);

t.test('calls of all clients wait in turns, however many one of them has', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer, 1);
  const served: string[] = [];
  const [greedy, modest] = [new ClientShare(), new ClientShare()];
  const call = (client: ClientShare, name: string) =>
    new FakeCall(client, false, () => served.push(name)).start(channel);
  for (let i = 0; i < 100; i++) call(greedy, `greedy ${i}`);
  call(modest, 'modest 0');
  call(modest, 'modest 1');
  dialer.last.ready(1);
  for (let i = 0; i < 4; i++) dialer.last.endStream();
  t.same(served, ['greedy 0', 'modest 0', 'greedy 1', 'modest 1', 'greedy 2']);
});

t.test('a call that waits no longer is not served, and keeps nothing', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const [gone, refused, stays] = [new FakeCall(), new FakeCall(), new FakeCall()].map((call) =>
    call.start(channel),
  );
  channel.stopWaiting(gone!);
  channel.stopWaiting(refused!);
  channel.waitRefused(refused!, dialer.last);
  channel.stopWaiting(refused!);
  dialer.last.ready();
  await ticked();
  t.equal(gone!.connection, undefined);
  t.equal(refused!.connection, undefined);
  t.equal(stays!.connection, dialer.last);
});

t.test('10 000 calls may wait; further ones are RESOURCE_EXHAUSTED', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const calls = Array.from({ length: 10_000 }, () => new FakeCall().start(channel));
  t.equal(calls.at(-1)!.failure, undefined);
  const refused = new FakeCall().start(channel);
  t.equal(refused.failure?.error.code, Code.RESOURCE_EXHAUSTED);
  t.equal(refused.failure?.reason, 'limit');
  channel.stopWaiting(calls[0]!);
  t.equal(new FakeCall().start(channel).failure, undefined, 'one that leaves makes room');
});

t.test(
  'a backend that says GOAWAY before it answers fails no call at first, and is not dialled in a loop',
  async (t) => {
    const clock = new TestClock(t);
    const dialer = new FakeDialer();
    const channel = channelTo(dialer);
    const begun = performance.now();
    for (let farewell = 1; farewell <= 9; farewell++) {
      const call = new FakeCall().start(channel);
      while (dialer.connections.length < farewell) await clock.advance(10, 10);
      dialer.last.ready();
      t.ok(call.connection, `${farewell}`);
      dialer.last.goAway();
      await ticked();
      const next = new FakeCall().start(channel);
      t.equal(next.failure, undefined);
      channel.stopWaiting(next);
    }
    const rate = dialer.connections.length / (performance.now() - begun);
    t.ok(rate < 5 / 1000, `${rate * 1000} connections a second`);
    const call = new FakeCall().start(channel);
    while (dialer.connections.length < 10) await clock.advance(10, 10);
    dialer.last.ready();
    dialer.last.goAway();
    await ticked();
    t.equal(call.failure, undefined);
    t.equal(new FakeCall().start(channel).failure?.error.code, Code.UNAVAILABLE, 'but not for ever');
  },
);

t.test('where too many calls wait, it is the client that has most of them who loses one', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const [greedy, modest] = [new ClientShare(), new ClientShare()];
  const calls = Array.from({ length: 10_000 }, () => new FakeCall(greedy).start(channel));
  const few = Array.from({ length: 3 }, () => new FakeCall(modest).start(channel));
  await ticked();
  for (const { failure } of few) t.equal(failure, undefined);
  t.equal(calls.filter(({ failure }) => failure?.error.code === Code.RESOURCE_EXHAUSTED).length, 3);
  t.equal(new FakeCall(greedy).start(channel).failure?.reason, 'limit');
  dialer.last.ready(4);
  t.equal(few.filter(({ connection }) => connection !== undefined).length, 2, 'in turns');
});

t.test('a call that waits for ready ends when the channel shuts down, and none can begin then', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const waiting = new FakeCall(undefined, true).start(channel);
  const closed = channel.close();
  t.equal(waiting.failure?.error.code, Code.UNAVAILABLE);
  t.ok(dialer.last.isDestroyed);
  t.equal(
    new FakeCall(undefined, true).start(channel).failure?.error.message,
    'the connection to backend:1 is closed',
  );
  t.equal(channel.state.name, 'SHUTDOWN');
  dialer.last.end();
  await closed;
});

t.test('closing lets streams finish', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  new FakeCall().start(channel);
  dialer.last.ready();
  let isClosed = false;
  const closed = channel.close().then(() => {
    isClosed = true;
  });
  await ticked();
  t.ok(dialer.last.isShutDown);
  t.notOk(isClosed);
  dialer.last.end();
  await closed;
});

t.test('a refused call goes to another connection', async (t) => {
  new TestClock(t);
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  const call = new FakeCall().start(channel);
  dialer.last.ready();
  const refusing = dialer.last;
  t.equal(channel.waitRefused(call, refusing), undefined);
  t.equal(dialer.connections.length, 2);
  dialer.last.ready();
  await ticked();
  t.equal(call.connection, dialer.last);
  t.equal(new FakeCall().start(channel).connection, dialer.last);
});

t.test('a backend that refuses all sees at most one connection a second', async (t) => {
  const clock = new TestClock(t);
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  new FakeCall().start(channel);
  dialer.last.ready();
  for (let i = 0; i < 200; i++) {
    const call = new FakeCall().start(channel);
    channel.waitRefused(call, call.connection!);
    if (!dialer.last.isReady) dialer.last.ready();
    await clock.advance(50);
  }
  t.ok(dialer.connections.length <= 12, `${dialer.connections.length} in 10 s`);
});

t.test('a refused call takes the connection that refused it when there is no other for 100 ms', async (t) => {
  const clock = new TestClock(t);
  const dialer = new FakeDialer();
  const channel = channelTo(dialer, 1);
  const call = new FakeCall().start(channel);
  dialer.last.ready();
  call.connection = undefined;
  channel.waitRefused(call, dialer.last);
  await clock.advance(50);
  t.equal(call.connection, undefined);
  await clock.advance(100);
  t.equal(call.connection, dialer.last);
});

t.test('waitForStateChange tells of each state, and of the failure', async (t) => {
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  t.equal(channel.state.name, 'IDLE');
  const connecting = channel.waitForStateChange('IDLE');
  channel.connect();
  t.equal((await connecting).name, 'CONNECTING');
  dialer.last.end(REFUSED);
  t.match(await channel.waitForStateChange('CONNECTING'), {
    name: 'TRANSIENT_FAILURE',
    error: { message: 'cannot connect to backend:1: connection refused' },
  });
  const controller = new AbortController();
  const waiting = channel.waitForStateChange('TRANSIENT_FAILURE', controller.signal);
  controller.abort(new Error('enough'));
  await t.rejects(waiting, { message: 'enough' });
});

t.test(
  'a READY connection that is lost before it was of use is made again once, then after the backoff',
  async (t) => {
    const clock = new TestClock(t);
    const dialer = new FakeDialer();
    const channel = channelTo(dialer);
    for (let lost = 0; lost < 2; lost++) {
      new FakeCall().start(channel);
      t.equal(dialer.connections.length, lost + 1);
      dialer.last.ready();
      dialer.last.end(CLOSED);
      await ticked();
    }
    t.equal(
      new FakeCall().start(channel).failure?.error.message,
      'the connection to backend:1 was lost: the peer closed it',
    );
    await clock.advance(1300);
    t.equal(new FakeCall().start(channel).failure, undefined);
    t.equal(dialer.connections.length, 3);
  },
);

for (const [how, end, connections] of [
  ['breaks the protocol', brokenProtocol(ErrorCode.PROTOCOL_ERROR, 'nonsense'), 3],
  ['has been pinged too often', PINGED_BACKEND_TOO_OFTEN, 2],
] as const) {
  t.test(`the clients of a connection whose backend ${how}: ${connections - 1} afterwards`, async (t) => {
    const dialer = new FakeDialer();
    const channel = channelTo(dialer);
    const clients = [new ClientShare(), new ClientShare()];
    const calls = clients.map((client) => new FakeCall(client).start(channel));
    dialer.last.ready();
    await ticked();
    t.same(
      calls.map(({ connection }) => connection),
      [dialer.last, dialer.last],
    );
    dialer.last.hasAnswered = true;
    dialer.last.end(end);
    await ticked();
    for (const client of clients) {
      new FakeCall(client).start(channel);
      await ticked();
      if (!dialer.last.isReady) dialer.last.ready();
      await ticked();
    }
    t.equal(dialer.connections.length, connections);
  });
}

t.test('a backoff that is over between two looks at the clock is waited for by nobody', async (t) => {
  const clock = new TestClock(t);
  t.intercept(Math, 'random', { value: () => 0.5 });
  const dialer = new FakeDialer();
  const channel = channelTo(dialer);
  channel.connect();
  dialer.last.end(REFUSED);
  await ticked();
  await clock.advance(950);
  const { now } = performance;
  let looks = 0;
  // The backoff ends at 1000 ms: before it, and after it from the second look on.
  performance.now = () => now.call(performance) + (looks++ === 0 ? 49.9 : 50.1);
  const call = new FakeCall(undefined, true).start(channel);
  performance.now = now;
  await clock.advance(200);
  t.equal(dialer.connections.length, 2);
  dialer.last.ready();
  t.ok(call.connection);
});
