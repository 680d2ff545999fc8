import { AsyncLocalStorage } from 'node:async_hooks';
import dns from 'node:dns';
import t, { type Test } from 'tap';
import { Resolver, type ResolverOwner } from '../../lib/client/channel/resolver.js';
import { type BackendAddress, parseTarget } from '../../lib/port/target.js';
import { freePort } from '../support/free-port.js';
import { type NameAnswer, NameServer } from '../support/name-server.js';
import { mockLookup } from './channel-model.js';
import { TestClock, ticked } from './fake-backend.js';

const INTERVAL = 5_000;

/** Keeps what it is told, as text. */
class Owner implements ResolverOwner {
  readonly told: string[] = [];
  readonly failures: string[] = [];
  needsAddresses = true;

  onAddresses(addresses: readonly BackendAddress[]): void {
    const texts = addresses.map(({ address }) =>
      'host' in address ? `${address.host} ${address.port}` : address.path,
    );
    this.told.push(texts.sort().join());
  }

  onResolutionFailed(text: string): void {
    this.failures.push(text);
  }
}

function resolverOf(t: Test, targets: readonly string[], milliseconds = INTERVAL) {
  const owner = new Owner();
  const resolver = new Resolver(targets.map(parseTarget), milliseconds, owner);
  t.teardown(() => resolver.stop());
  return { owner, resolver };
}

/** A resolver that asks a name server. */
async function withServer(t: Test, answer: NameServer['answer']) {
  const server = await NameServer.start(answer);
  t.teardown(() => server.destroy());
  return { server, ...resolverOf(t, [`dns://${server.address}/backend.test:1`]) };
}

/** The system's answers, by name, which may change; undefined: none, yet. */
function withSystem(t: Test, answers: Record<string, readonly string[] | Error | undefined>) {
  const asked: string[] = [];
  const waiting: (() => void)[] = [];
  const lookup = async (host: string) => {
    asked.push(host);
    while (answers[host] === undefined) await new Promise<void>((resolve) => waiting.push(resolve));
    const answer = answers[host];
    if (answer instanceof Error) throw answer;
    return answer.map((address) => ({ address, family: 4 }));
  };
  t.teardown(mockLookup(lookup));
  const wake = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  return { asked, wake };
}

function failure(code: string): Error {
  return Object.assign(new Error('failed'), { code });
}

/** Waits, while the clock of the test stands still. */
async function until(what: string, condition: () => boolean): Promise<void> {
  const begun = process.hrtime.bigint();
  while (!condition()) {
    if (process.hrtime.bigint() - begun > 5_000_000_000n) throw new Error(`not in 5 s: ${what}`);
    await ticked();
  }
}

const addresses =
  (ttlSeconds: number, ...all: string[]) =>
  (): NameAnswer => ({ addresses: all, ttlSeconds });

for (const [ttlSeconds, seconds] of [
  [0, 5],
  [1, 5],
  [10, 10],
  [100, 30],
] as const) {
  t.test(`addresses that are good for ${ttlSeconds} s are asked for again after ${seconds} s`, async (t) => {
    const clock = new TestClock(t);
    const { server, owner, resolver } = await withServer(t, addresses(ttlSeconds, '10.0.0.1', 'fd00::1'));
    resolver.resolve();
    await until('the first answer', () => owner.told.length === 1);
    t.same(owner.told, ['10.0.0.1 1,fd00::1 1'], 'of both families');
    server.answer = addresses(ttlSeconds, '10.0.0.2');
    await clock.advance(seconds * 1000 - 100);
    t.equal(server.queries.length, 2);
    await clock.advance(200);
    await until('the second answer', () => owner.told.length === 2);
    t.equal(owner.told[1], '10.0.0.2 1');
    t.same(new Set(server.queries), new Set(['A backend.test', 'AAAA backend.test']));
  });
}

t.test('what the system says is asked for again after 30 s, as long as that is needed', async (t) => {
  const clock = new TestClock(t);
  const { asked } = withSystem(t, { 'backend.test': ['10.0.0.1'] });
  const { owner, resolver } = resolverOf(t, ['backend.test:1']);
  resolver.resolve();
  await clock.advance(29_000);
  t.equal(asked.length, 1);
  await clock.advance(2_000);
  t.equal(asked.length, 2);
  t.equal(owner.told.length, 1, 'but told once');
  owner.needsAddresses = false;
  await clock.advance(600_000, 1000);
  t.equal(asked.length, 3);
  resolver.wake();
  await ticked();
  t.equal(asked.length, 4, 'and as soon as it is again');
});

t.test('what the owner does when it hears the addresses asks for no others', async (t) => {
  const clock = new TestClock(t);
  const { asked } = withSystem(t, { 'backend.test': ['10.0.0.1'] });
  const { owner, resolver } = resolverOf(t, ['backend.test:1']);
  owner.onAddresses = () => resolver.wake();
  resolver.resolve();
  await clock.advance(29_000);
  t.equal(asked.length, 1);
});

t.test('there is one resolution per interval, however often it is asked for', async (t) => {
  const clock = new TestClock(t);
  const { asked } = withSystem(t, { 'backend.test': failure(dns.NOTFOUND) });
  const { owner, resolver } = resolverOf(t, ['backend.test:1']);
  owner.needsAddresses = false;
  for (let i = 0; i < 398; i++) {
    for (let j = 0; j < 100; j++) resolver.resolve();
    await clock.advance(50);
  }
  t.equal(asked.length, 4, 'in 19.9 s');
});

t.test('an interval that no timer takes is none', async (t) => {
  const clock = new TestClock(t);
  for (const interval of [Number.POSITIVE_INFINITY, 2 ** 40]) {
    const { asked } = withSystem(t, { 'backend.test': ['10.0.0.1'] });
    const { owner, resolver } = resolverOf(t, ['backend.test:1'], interval);
    resolver.resolve();
    await ticked();
    t.same(owner.told, ['10.0.0.1 1']);
    resolver.resolve();
    await clock.advance(60_000, 1000);
    t.equal(asked.length, 1);
  }
});

t.test('a resolution that fails keeps the addresses that were found before', async (t) => {
  const clock = new TestClock(t);
  const { server, owner, resolver } = await withServer(t, addresses(1, '10.0.0.1'));
  resolver.resolve();
  await until('the answer', () => owner.told.length === 1);
  for (const answer of ['NXDOMAIN', 'SERVFAIL', 'silence'] as const) {
    const { length } = server.queries;
    server.answer = () => answer;
    await clock.advance(30_000);
    await until('a question', () => server.queries.length > length);
    await clock.advance(6_000);
  }
  t.same(owner.told, ['10.0.0.1 1']);
  t.same(owner.failures, []);
  t.same(resolver.known, [
    { address: { host: '10.0.0.1', port: 1 }, authority: 'backend.test:1', serverName: 'backend.test' },
  ]);
});

t.test('a silent name server has 5 s, and may be asked again a little later', async (t) => {
  const clock = new TestClock(t);
  const { server, owner, resolver } = await withServer(t, () => 'silence');
  let wait: number | undefined;
  owner.onResolutionFailed = (text) => {
    owner.failures.push(text);
    wait = resolver.waitMilliseconds;
  };
  resolver.resolve();
  await until('both questions', () => server.queries.length >= 2);
  await clock.advance(4_900);
  t.same(owner.failures, []);
  await clock.advance(200);
  await until('the failure', () => owner.failures.length === 1);
  t.same(owner.failures, [`the name server ${server.address} does not answer for "backend.test"`]);
  t.equal(wait, 100, 'calls that wait for it fail');
});

for (const silent of ['A', 'AAAA'] as const) {
  t.test(`where a name server is silent for ${silent} alone, the others are used after 5 s`, async (t) => {
    const clock = new TestClock(t);
    const { server, owner, resolver } = await withServer(t, (_name, family) =>
      family === silent ? 'silence' : { addresses: ['10.0.0.1', 'fd00::1'] },
    );
    resolver.resolve();
    await until('both questions', () => server.queries.length >= 2);
    await clock.advance(5_100);
    await until('the answer', () => owner.told.length === 1);
    t.same(owner.told, [silent === 'A' ? 'fd00::1 1' : '10.0.0.1 1']);
    t.same(owner.failures, []);
  });
}

for (const [what, answer, text] of [
  ['no such name', () => 'NXDOMAIN', 'the name "backend.test" is not known'],
  ['a name without addresses', () => ({ addresses: [] }), 'the name "backend.test" is not known'],
  [
    'a server that fails',
    () => 'SERVFAIL',
    'the name server 127.0.0.1:\\d+ does not resolve "backend.test" \\(ESERVFAIL\\)',
  ],
  [
    'a server that fails for the family that there may be',
    (_name, family) => (family === 'A' ? 'SERVFAIL' : { addresses: [] }),
    'the name server 127.0.0.1:\\d+ does not resolve "backend.test" \\(ESERVFAIL\\)',
  ],
] as const satisfies readonly (readonly [string, NameServer['answer'], string])[]) {
  t.test(`plain words tell of ${what}`, async (t) => {
    const { owner, resolver } = await withServer(t, answer);
    resolver.resolve();
    await until('the failure', () => owner.failures.length === 1);
    t.match(owner.failures[0], new RegExp(`^${text}$`));
  });
}

t.test('plain words tell of a name server that is not there', async (t) => {
  const { owner, resolver } = resolverOf(t, [`dns://127.0.0.1:${await freePort()}/backend.test:1`]);
  resolver.resolve();
  await until('the failure', () => owner.failures.length === 1);
  t.match(owner.failures[0], /^the name server 127.0.0.1:\d+ does not answer for "backend.test"$/);
});

for (const [code, text] of [
  ['ENOTFOUND', 'the name "backend.test" is not known'],
  ['EAI_AGAIN', 'the name server does not answer for "backend.test"'],
  ['ENOMEM', 'the name server does not resolve "backend.test" (ENOMEM)'],
] as const) {
  t.test(`plain words tell of the system’s ${code}`, async (t) => {
    withSystem(t, { 'backend.test': failure(code) });
    const { owner, resolver } = resolverOf(t, ['backend.test:1']);
    resolver.resolve();
    await until('the failure', () => owner.failures.length === 1);
    t.same(owner.failures, [text]);
  });
}

t.test('addresses are told where they have changed, not where they come in another order', async (t) => {
  const clock = new TestClock(t);
  const answers = { 'backend.test': ['10.0.0.1', '10.0.0.2'] };
  withSystem(t, answers);
  const { owner, resolver } = resolverOf(t, ['backend.test:1']);
  resolver.resolve();
  await ticked();
  answers['backend.test'] = ['10.0.0.2', '10.0.0.1'];
  await clock.advance(31_000);
  t.equal(owner.told.length, 1);
  answers['backend.test'] = ['10.0.0.2', '10.0.0.3'];
  await clock.advance(31_000);
  t.same(owner.told, ['10.0.0.1 1,10.0.0.2 1', '10.0.0.2 1,10.0.0.3 1']);
});

t.test('a target that cannot be resolved takes nothing from the others', async (t) => {
  withSystem(t, { 'good.test': ['10.0.0.1'], 'bad.test': failure(dns.NOTFOUND) });
  const { owner, resolver } = resolverOf(t, ['bad.test:1', 'good.test:2', '10.0.0.3:3', 'unix:/run/backend']);
  resolver.resolve();
  await until('the answer', () => owner.told.length === 1);
  t.same(owner.told, ['/run/backend,10.0.0.1 2,10.0.0.3 3']);
  t.same(owner.failures, []);
});

t.test('of more than 256 addresses those stay that are used', async (t) => {
  const clock = new TestClock(t);
  const all = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const answers = { 'backend.test': all };
  withSystem(t, answers);
  const { owner, resolver } = resolverOf(t, ['backend.test:1']);
  resolver.resolve();
  await ticked();
  t.equal(owner.told[0]!.split(',').length, 256);
  answers['backend.test'] = all.toReversed();
  await clock.advance(31_000);
  t.equal(owner.told.length, 1);
});

t.test('the system is asked once at a time for a name, by whoever asks, however long it takes', async (t) => {
  const clock = new TestClock(t);
  const answers: Record<string, readonly string[] | undefined> = { 'slow.test': undefined };
  const { asked, wake } = withSystem(t, answers);
  const [one, other] = [resolverOf(t, ['slow.test:1']), resolverOf(t, ['slow.test:2'])];
  for (let i = 0; i < 60; i++) {
    one.resolver.resolve();
    other.resolver.resolve();
    await clock.advance(1000, 500);
  }
  t.ok(one.owner.failures.length >= 10);
  t.same(asked, ['slow.test']);
  answers['slow.test'] = ['10.0.0.1'];
  wake();
  for (const { resolver } of [one, other]) resolver.resolve();
  await clock.advance(1_000);
  t.same([one.owner.told, other.owner.told], [['10.0.0.1 1'], ['10.0.0.1 2']]);
});

t.test('nothing is left behind by one that is stopped', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
  const before = timers();
  const { server, owner, resolver } = await withServer(t, () => 'silence');
  resolver.resolve();
  await until('both questions', () => server.queries.length >= 2);
  t.equal(timers(), before + 1);
  resolver.stop();
  await until('the end', () => timers() === before);
  resolver.resolve();
  resolver.wake();
  await ticked();
  t.equal(timers(), before);
  t.same([owner.told, owner.failures], [[], []]);
});

t.test('names are resolved outside of the call that needs them first', async (t) => {
  const clock = new TestClock(t);
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  t.teardown(
    mockLookup(async () => {
      seen.push(storage.getStore());
      return [{ address: '10.0.0.1', family: 4 }];
    }),
  );
  const { resolver } = resolverOf(t, ['backend.test:1']);
  storage.run('a call', () => resolver.resolve());
  await ticked();
  storage.run('another', () => resolver.resolve());
  await clock.advance(6_000);
  t.same(seen, [undefined, undefined]);
});
