import assert from 'node:assert/strict';
import dns from 'node:dns';
import { mock } from 'node:test';
import type { Failure } from '../../lib/call/outcome.js';
import { Channel } from '../../lib/client/channel/channel.js';
import { ClientShare } from '../../lib/client/channel/lanes.js';
import type { LoadBalancing } from '../../lib/client/channel/load-balancing.js';
import type { PickedConnection } from '../../lib/client/channel/picker.js';
import type { WaitingCall } from '../../lib/client/channel/waiting-calls.js';
import { Code, StatusError } from '../../lib/index.js';
import { DEFAULT_DIAL_LIMITS } from '../../lib/transport/limits.js';
import { Random } from '../support/random.js';
import {
  CLOSED,
  type FakeConnection,
  FakeDialer,
  fakeBackend,
  REFUSED,
  type TestClock,
  ticked,
} from './fake-backend.js';

const MAX_CONNECTIONS = 3;
const MAX_CALLS = 40;
/** Above the longest backoff, with its jitter, and the times that a name server and a connection are given. */
const LONGEST_WAIT = 180_000;
/** What a transport waits for a peer's SETTINGS. */
const CONNECT_TIMEOUT = 20_000;

const UNAVAILABLE: Failure = {
  error: StatusError.withoutStack(Code.UNAVAILABLE, 'the backend is ill'),
  reason: 'backend_status',
};

/** One thing that happens; numbers choose among what there is, modulo how many there are. */
export type Step =
  | { readonly do: 'call'; readonly client: number; readonly waitForReady: boolean }
  | { readonly do: 'end'; readonly which: number; readonly isFailure: boolean }
  | { readonly do: 'refuse' | 'cancel' | 'refuse dial' | 'go away'; readonly which: number }
  | { readonly do: 'accept dial'; readonly which: number; readonly room: number }
  | { readonly do: 'lose'; readonly which: number; readonly hasAnswered: boolean }
  | { readonly do: 'resolve'; readonly hosts: readonly number[] }
  | { readonly do: 'pass'; readonly milliseconds: number }
  | { readonly do: 'connect' | 'tick' };

/** A call as a ClientCall is to its channel. */
class ModelCall implements WaitingCall {
  phase: 'waiting' | 'refused' | 'running' | 'ended' = 'waiting';
  picked: PickedConnection | undefined;
  readonly #world: ChannelWorld;

  constructor(
    world: ChannelWorld,
    readonly client: ClientShare,
    readonly waitForReady: boolean,
  ) {
    this.#world = world;
  }

  start(channel: Channel): void {
    const refusal = channel.begin();
    if (refusal !== undefined) {
      this.phase = 'ended';
      return;
    }
    this.open();
  }

  open(): void {
    const { channel } = this.#world;
    const picked = channel.pick(this.client);
    const failure = picked === undefined ? channel.wait(this) : undefined;
    if (picked !== undefined) this.onConnection(picked);
    else if (failure !== undefined) this.onUnavailable();
  }

  onConnection(picked: PickedConnection): void {
    assert.ok(this.phase === 'waiting' || this.phase === 'refused', `served while ${this.phase}`);
    assert.ok(picked.connection.hasRoom, 'given a connection without room');
    this.phase = 'running';
    this.picked = picked;
    picked.onCallBegun();
    picked.connection.openStream();
  }

  onUnavailable(): void {
    assert.ok(this.phase === 'waiting' || this.phase === 'refused', `failed while ${this.phase}`);
    this.#end();
  }

  cancel(): void {
    this.#world.channel.stopWaiting(this);
    this.#end();
  }

  /** Its stream has ended. */
  finish(failure: Failure | undefined): void {
    this.picked!.onCallEnded(failure);
    this.picked = undefined;
    this.#end();
  }

  refuse(): void {
    const { connection } = this.picked!;
    this.picked!.onCallEnded(UNAVAILABLE);
    this.picked = undefined;
    this.phase = 'refused';
    if (this.#world.channel.waitRefused(this, connection) !== undefined) this.#end();
  }

  #end(): void {
    this.phase = 'ended';
    this.#world.channel.end();
  }
}

/** A channel to a name, with all that it leans on in the hands of a test. */
export class ChannelWorld {
  readonly channel: Channel;
  readonly calls: ModelCall[] = [];
  readonly #clock: TestClock;
  readonly #clients = [new ClientShare(), new ClientShare()];
  readonly #dialers = new Map<string, FakeDialer>();
  /** When each connection was dialled that has not ended. */
  readonly #open = new Map<FakeConnection, { readonly host: string; readonly at: number }>();
  /** What the name stands for; none: nobody knows it; undefined: its server is silent. */
  #hosts: readonly string[] | undefined = ['10.0.0.1', '10.0.0.2'];
  #answers: (() => void)[] = [];
  #knownState: string;
  #isOver = false;

  constructor(clock: TestClock, loadBalancing: LoadBalancing, name: string) {
    this.#clock = clock;
    const backend = fakeBackend(
      ({ address }) => this.#dialerOf((address as { host: string }).host),
      [`${name}:1`],
      {
        loadBalancing,
      },
    );
    const limits = { ...DEFAULT_DIAL_LIMITS, maxConnections: MAX_CONNECTIONS, maxConcurrentCalls: MAX_CALLS };
    this.channel = new Channel(backend, limits);
    this.#knownState = this.channel.state.name;
    void this.#watchState();
  }

  /** As `dns.promises.lookup` is called. */
  async lookup(): Promise<{ address: string; family: number }[]> {
    if (this.#hosts === undefined) await new Promise<void>((resolve) => this.#answers.push(resolve));
    if (this.#hosts === undefined || this.#hosts.length === 0) {
      throw Object.assign(new Error('no such host'), { code: dns.NOTFOUND });
    }
    return this.#hosts.map((address) => ({ address, family: 4 }));
  }

  async do(step: Step): Promise<void> {
    switch (step.do) {
      case 'call': {
        const call = new ModelCall(this, this.#clients[step.client]!, step.waitForReady);
        this.calls.push(call);
        call.start(this.channel);
        break;
      }
      case 'end': {
        const call = at(this.#callsThat('running'), step.which);
        if (call !== undefined) this.#endCall(call, step.isFailure ? UNAVAILABLE : undefined);
        break;
      }
      case 'refuse': {
        const call = at(this.#callsThat('running'), step.which);
        const connection = call?.picked?.connection as FakeConnection | undefined;
        call?.refuse();
        connection?.endStream();
        break;
      }
      case 'cancel':
        at([...this.#callsThat('waiting'), ...this.#callsThat('refused')], step.which)?.cancel();
        break;
      case 'accept dial':
        at(this.#dialling, step.which)?.ready(step.room);
        break;
      case 'refuse dial':
        this.#endConnection(at(this.#dialling, step.which), REFUSED);
        break;
      case 'lose': {
        const connection = at(this.#ready, step.which);
        if (connection === undefined) break;
        connection.hasAnswered = step.hasAnswered;
        this.#endConnection(connection, CLOSED);
        break;
      }
      case 'go away':
        at(this.#ready, step.which)?.goAway();
        break;
      case 'resolve':
        this.#answer(step.hosts.map((host) => `10.0.0.${host + 1}`));
        break;
      case 'pass':
        await this.pass(step.milliseconds);
        break;
      case 'connect':
        this.channel.connect();
        break;
      case 'tick':
        await this.settle();
    }
  }

  async pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += 50) {
      await this.#clock.advance(50);
      this.#timeOut();
      await this.settle();
    }
  }

  /** Lets all that is due happen, and looks whether all is well. */
  async settle(): Promise<void> {
    await ticked();
    for (const connection of [...this.#open.keys()]) {
      if (connection.isDestroyed) this.#endConnection(connection, CLOSED);
      else if (!connection.hasRoom && connection.streamCount === 0 && this.#isLeaving(connection)) {
        this.#endConnection(connection, CLOSED);
      }
    }
    await ticked();
    this.#check();
  }

  /** One address answers, the others swallow all: nobody may wait for ever. */
  async endWell(host: string): Promise<void> {
    this.#answer([host, '10.0.0.8', '10.0.0.9']);
    const begun = performance.now();
    while (performance.now() - begun < LONGEST_WAIT && this.#waiting > 0) {
      await this.pass(50);
      for (const [connection, { host: dialled }] of [...this.#open]) {
        if (dialled !== host) continue;
        if (this.#dialling.includes(connection)) connection.ready();
        // What is full or leaves would keep its place for as long as its calls run.
        else if (this.#connectionsTo(host) === MAX_CONNECTIONS) {
          for (const call of this.calls) {
            if (call.picked?.connection === connection) this.#endCall(call, undefined);
          }
        }
      }
    }
    await this.settle();
    assert.equal(this.#waiting, 0, `calls wait for ever, ${this.channel.state.name}`);
  }

  /** Nothing is left behind. */
  async close(): Promise<void> {
    let isClosed = false;
    void this.channel.close().then(() => {
      isClosed = true;
    });
    for (const call of this.#callsThat('running')) this.#endCall(call, undefined);
    this.#isOver = true;
    await this.settle();
    await this.settle();
    assert.ok(isClosed, 'it does not close');
    assert.equal(this.channel.begin(), undefined, 'a call is counted still');
    for (const call of this.calls) assert.equal(call.phase, 'ended');
    const dialled = this.#dialled;
    await this.#clock.advance(60_000, 1000);
    assert.equal(this.#dialled, dialled, 'it dials when it is closed');
  }

  #dialerOf(host: string): FakeDialer {
    let dialer = this.#dialers.get(host);
    if (dialer === undefined) {
      const made = new FakeDialer();
      const dial = made.dial.bind(made);
      made.dial = (owner) => {
        assert.ok(!this.#isOver);
        const connection = dial(owner);
        this.#open.set(made.last, { host, at: performance.now() });
        return connection;
      };
      dialer = made;
      this.#dialers.set(host, dialer);
    }
    return dialer;
  }

  async #watchState(): Promise<void> {
    while (this.#knownState !== 'SHUTDOWN') {
      const state = await this.channel.waitForStateChange(this.#knownState as 'IDLE');
      this.#knownState = state.name;
    }
  }

  #check(): void {
    const { state, addresses } = this.channel;
    assert.equal(this.#knownState, state.name, 'a state that nobody was told');
    if (this.#callsThat('waiting').length > 0) {
      const idle = [...this.#open.keys()].find(({ hasRoom }) => hasRoom);
      assert.equal(idle, undefined, 'a call waits beside a connection with room');
    }
    const running = this.#callsThat('running').length;
    let counted = 0;
    for (const { calls, connections } of addresses) {
      assert.ok(calls >= 0 && connections >= 0, 'less than none');
      counted += calls;
    }
    assert.ok(counted <= running, `${counted} calls counted, ${running} run`);
    for (const { address, connections } of addresses) {
      assert.ok(connections <= MAX_CONNECTIONS, `${connections} connections to ${address}`);
    }
    const ejected = addresses.filter(({ isEjected }) => isEjected).length;
    assert.ok(ejected <= Math.floor(addresses.length / 2), `${ejected} of ${addresses.length} are left out`);
  }

  #isLeaving(connection: FakeConnection): boolean {
    return connection.isShutDown || !(connection.isReady || this.#dialling.includes(connection));
  }

  #timeOut(): void {
    const now = performance.now();
    for (const connection of this.#dialling) {
      if (now - this.#open.get(connection)!.at >= CONNECT_TIMEOUT) this.#endConnection(connection, REFUSED);
    }
  }

  #endCall(call: ModelCall, failure: Failure | undefined): void {
    const connection = call.picked!.connection as FakeConnection;
    call.finish(failure);
    connection.endStream();
  }

  #endConnection(connection: FakeConnection | undefined, end: typeof CLOSED): void {
    if (connection === undefined) return;
    for (const call of this.calls) if (call.picked?.connection === connection) call.finish(UNAVAILABLE);
    this.#open.delete(connection);
    connection.end(end);
  }

  #answer(hosts: readonly string[]): void {
    this.#hosts = hosts.includes('10.0.0.10') ? undefined : hosts;
    for (const resolve of this.#answers.splice(0)) resolve();
  }

  #connectionsTo(host: string): number {
    return [...this.#open.values()].filter((each) => each.host === host).length;
  }

  #callsThat(phase: ModelCall['phase']): ModelCall[] {
    return this.calls.filter((call) => call.phase === phase);
  }

  get #waiting(): number {
    return this.#callsThat('waiting').length + this.#callsThat('refused').length;
  }

  get #dialled(): number {
    let sum = 0;
    for (const { connections } of this.#dialers.values()) sum += connections.length;
    return sum;
  }

  get #dialling(): FakeConnection[] {
    return [...this.#open.keys()].filter((each) => !each.wasReady && !each.isDestroyed);
  }

  get #ready(): FakeConnection[] {
    return [...this.#open.keys()].filter(({ isReady, isDestroyed }) => isReady && !isDestroyed);
  }
}

/** Chance repeats itself. */
export function mockRandom(seed: number): () => void {
  const random = new Random(seed);
  const mocked = mock.method(Math, 'random', () => random.next() / 2 ** 32);
  return () => mocked.mock.restore();
}

/** Names resolve as a world says. */
export function mockLookup(lookup: (host: string) => Promise<unknown>): () => void {
  const mocked = mock.method(dns.promises, 'lookup', lookup as never);
  return () => mocked.mock.restore();
}

function at<T>(list: readonly T[], which: number): T | undefined {
  return list[which % list.length];
}
