import type { Test } from 'tap';
import type { Backend } from '../../lib/client/channel/backend.js';
import { Channel } from '../../lib/client/channel/channel.js';
import { ClientShare } from '../../lib/client/channel/lanes.js';
import { formatAddress } from '../../lib/port/address.js';
import { DEFAULT_DIAL_LIMITS, type DialLimits } from '../../lib/transport/limits.js';
import { mockLookup, mockRandom } from './channel-model.js';
import { FakeCall, type FakeConnection, FakeDialer, fakeBackend, TestClock, ticked } from './fake-backend.js';

/** A channel to several addresses, whose every event the test decides; and the clock. */
export class FakeAddresses {
  readonly clock: TestClock;
  readonly channel: Channel;
  readonly client = new ClientShare();
  /** The addresses in the order in which they were dialled. */
  readonly dialled: string[] = [];
  /** What the name stands for; none: nobody knows it. */
  hosts: readonly string[] = [];
  resolutions = 0;
  readonly #dialers = new Map<string, FakeDialer>();

  /** @param targets those of the channel; a name among them stands for {@link hosts} */
  constructor(
    t: Test,
    targets: readonly string[],
    options: Partial<Backend> = {},
    limits: Partial<DialLimits> = {},
  ) {
    this.clock = new TestClock(t);
    t.teardown(mockRandom(1));
    t.teardown(mockLookup(() => this.#lookup()));
    const backend = fakeBackend(({ address }) => this.#dialerOf(formatAddress(address)), targets, options);
    this.channel = new Channel(backend, { ...DEFAULT_DIAL_LIMITS, ...limits });
    t.teardown(() => this.channel.destroy());
  }

  /** The connections that were made to an address, in their order. */
  to(address: string): readonly FakeConnection[] {
    return this.#dialers.get(address)?.connections ?? [];
  }

  /** The one that was made last. */
  lastTo(address: string): FakeConnection {
    return this.to(address).at(-1)!;
  }

  call(waitForReady = false, client = this.client): FakeCall {
    return new FakeCall(client, waitForReady).start(this.channel);
  }

  calls(count: number): FakeCall[] {
    return Array.from({ length: count }, () => this.call());
  }

  /** How often each address has been given one of these calls. */
  spread(calls: readonly FakeCall[]): Record<string, number> {
    const spread: Record<string, number> = {};
    for (const { connection } of calls) {
      const address = connection === undefined ? 'none' : this.#addressOf(connection);
      spread[address] = (spread[address] ?? 0) + 1;
    }
    return spread;
  }

  /** All addresses that were dialled answer, and allow so many streams. */
  async ready(room?: number): Promise<void> {
    for (const { connections } of this.#dialers.values()) {
      for (const each of connections)
        if (!each.wasReady && !each.isDestroyed && !each.hasEnded) each.ready(room);
    }
    await ticked();
  }

  /** The name stands for others; once that is known. */
  async change(hosts: readonly string[]): Promise<void> {
    this.hosts = hosts;
    const { resolutions } = this;
    while (this.resolutions === resolutions) await this.clock.advance(500, 500);
    await ticked();
  }

  async #lookup(): Promise<{ address: string }[]> {
    this.resolutions++;
    if (this.hosts.length === 0) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    return this.hosts.map((address) => ({ address }));
  }

  #addressOf(connection: FakeConnection): string {
    for (const [address, { connections }] of this.#dialers) {
      if (connections.includes(connection)) return address;
    }
    return 'nowhere';
  }

  #dialerOf(address: string): FakeDialer {
    let dialer = this.#dialers.get(address);
    if (dialer === undefined) {
      const made = new FakeDialer();
      const dial = made.dial.bind(made);
      made.dial = (owner) => {
        this.dialled.push(address);
        return dial(owner);
      };
      dialer = made;
      this.#dialers.set(address, dialer);
    }
    return dialer;
  }
}

/** So many addresses of targets: `10.0.0.1:1`, `10.0.0.2:1`, … */
export function someAddresses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `10.0.0.${i + 1}:1`);
}
