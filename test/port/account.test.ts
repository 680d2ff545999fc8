import t from 'tap';
import { Account, type AccountLimits, HeldBytes, heldBytes, NOBODYS } from '../../lib/port/account.js';

const LIMITS: AccountLimits = {
  maxHeldBytes: 1000,
  maxHeldBytesPerConnection: 400,
  abandonedCalls: { burst: 3, perSecond: 0.001 },
};

/** A call that lets go of what it holds when it is told to. */
class Call {
  readonly held: HeldBytes;
  told = 0;

  constructor(account: Account, bytes: number) {
    this.held = new HeldBytes(account, this);
    this.held.hold(bytes);
  }

  onTooMuchHeld(): void {
    this.told++;
    this.held.release(this.held.bytes);
  }
}

function account(limits = LIMITS): Account {
  return new Account(limits, () => {});
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

t.test("over a connection's share, its largest holders end, and nobody else's", async (t) => {
  const [greedy, modest] = [account(), account()];
  const victim = new Call(modest, 300);
  const calls = [100, 200, 60].map((bytes) => new Call(greedy, bytes));
  const last = new Call(greedy, 50);
  await turn();
  t.same(
    calls.map(({ told }) => told),
    [0, 1, 0],
  );
  t.equal(last.told, 0, 'not the one that asked');
  t.equal(victim.told, 0);
  t.equal(heldBytes(), 510);
  for (const { held } of [...calls, last, victim]) held.release(held.bytes);
  t.equal(heldBytes(), 0);
});

t.test('over the bound of the process, the largest holder of the largest client ends', async (t) => {
  const clients = [300, 390, 200].map((bytes) => ({ bytes, client: account() }));
  const calls = clients.map(({ bytes, client }) => new Call(client, bytes));
  const small = new Call(account(), 120);
  await turn();
  t.same(
    calls.map(({ told }) => told),
    [0, 1, 0],
  );
  t.equal(small.told, 0);
  for (const { held } of [...calls, small]) held.release(held.bytes);
  t.equal(heldBytes(), 0);
});

t.test('a holder that is about to end is told once, and counts as released', async (t) => {
  const client = account();
  const slow = new (class extends Call {
    override onTooMuchHeld(): void {
      this.told++;
    }
  })(client, 390);
  const others = [5, 10].map((bytes) => new Call(client, bytes));
  await turn();
  others[0]!.held.hold(1);
  await turn();
  t.equal(slow.told, 1);
  t.same(
    others.map(({ told }) => told),
    [0, 0],
  );
  for (const { held } of [slow, ...others]) held.release(held.bytes);
});

t.test('who does not end is looked at again, by one timer however often there was relief', async (t) => {
  const set = globalThis.setTimeout;
  const due: (() => void)[] = [];
  globalThis.setTimeout = ((
    callback: (...values: unknown[]) => void,
    _delay: number,
    ...values: unknown[]
  ) => {
    due.push(() => callback(...values));
    return { unref: () => ({}) };
  }) as unknown as typeof setTimeout;
  t.teardown(() => {
    globalThis.setTimeout = set;
  });
  const client = account();
  const stubborn = new (class extends Call {
    override onTooMuchHeld(): void {
      this.told++;
    }
  })(client, 500);
  for (let i = 0; i < 5; i++) {
    stubborn.held.hold(1);
    await turn();
  }
  t.equal(stubborn.told, 1);
  t.equal(due.length, 1);
  due.shift()!();
  await turn();
  t.equal(due.length, 1, 'and again, as long as it is needed');
  stubborn.held.release(stubborn.held.bytes);
  due.shift()!();
  await turn();
  t.equal(due.length, 0);
});

t.test('what is nobody’s is counted, and never ended', async (t) => {
  NOBODYS.hold(5000);
  const call = new Call(account(), 10);
  await turn();
  t.equal(heldBytes(), 10 + 5000 - call.told * 10);
  NOBODYS.release(5000);
  call.held.release(call.held.bytes);
  t.equal(heldBytes(), 0);
});

t.test('a client that abandons more calls than it may, and completes none, is told of once', async (t) => {
  let told = 0;
  const client = new Account(LIMITS, () => told++);
  for (let i = 0; i < 3; i++) client.onCallAbandoned();
  await turn();
  t.equal(told, 0);
  client.onCallAbandoned();
  client.onCallAbandoned();
  t.equal(told, 0, 'not from inside of the call');
  await turn();
  t.equal(told, 1);
});

t.test('calls that are completed pay for those that are abandoned', async (t) => {
  let told = 0;
  const client = new Account(LIMITS, () => told++);
  for (let i = 0; i < 100; i++) {
    client.onCallAbandoned();
    client.onCallCompleted();
  }
  await turn();
  t.equal(told, 0);
});
