import { mock } from 'node:test';
import type { Test } from 'tap';
import type { Failure } from '../../lib/call/outcome.js';
import type { Backend } from '../../lib/client/channel/backend.js';
import { Channel } from '../../lib/client/channel/channel.js';
import { ClientShare } from '../../lib/client/channel/lanes.js';
import type { PickedConnection } from '../../lib/client/channel/picker.js';
import type { WaitingCall } from '../../lib/client/channel/waiting-calls.js';
import type { ClientConnection, ConnectionOwner, Dialer } from '../../lib/port/connection.js';
import type { ConnectionEnd } from '../../lib/port/connection-end.js';
import type { Stream } from '../../lib/port/stream.js';
import { parseTarget } from '../../lib/port/target.js';
import { DEFAULT_DIAL_LIMITS } from '../../lib/transport/limits.js';

export const REFUSED: ConnectionEnd = {
  cause: 'connect',
  code: 0,
  text: 'connection refused',
  error: undefined,
};
export const CLOSED: ConnectionEnd = {
  cause: 'closed',
  code: 0,
  text: 'the peer closed it',
  error: undefined,
};

/** A connection whose every event the test decides. */
export class FakeConnection implements ClientConnection {
  streamCount = 0;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  hasAnswered = false;
  isWatched = false;
  isReady = false;
  wasReady = false;
  isShutDown = false;
  isDestroyed = false;
  hasEnded = false;
  readonly #owner: ConnectionOwner;

  constructor(owner: ConnectionOwner) {
    this.#owner = owner;
  }

  get hasRoom(): boolean {
    return this.isReady && !this.isShutDown && this.streamCount < this.maxConcurrentStreams;
  }

  openStream(): Stream {
    this.streamCount++;
    return undefined as unknown as Stream;
  }

  shutDown(): void {
    this.isShutDown = true;
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  ready(maxConcurrentStreams = Number.POSITIVE_INFINITY): void {
    this.isReady = true;
    this.wasReady = true;
    this.maxConcurrentStreams = maxConcurrentStreams;
    this.#owner.onReady();
  }

  /** The peer's SETTINGS change. */
  allow(maxConcurrentStreams: number): void {
    this.maxConcurrentStreams = maxConcurrentStreams;
    this.#owner.onRoom();
  }

  endStream(): void {
    this.streamCount--;
    this.#owner.onRoom();
  }

  goAway(bySelf = false): void {
    this.isReady = false;
    this.#owner.onGoingAway(bySelf);
  }

  end(end: ConnectionEnd = CLOSED): void {
    this.isReady = false;
    this.hasEnded = true;
    this.#owner.onEnded(end);
  }
}

/** Keeps the connections that were asked for. */
export class FakeDialer implements Dialer {
  readonly connections: FakeConnection[] = [];

  dial(owner: ConnectionOwner): ClientConnection {
    const connection = new FakeConnection(owner);
    this.connections.push(connection);
    return connection;
  }

  get last(): FakeConnection {
    return this.connections.at(-1)!;
  }
}

/** A call that keeps what it was told. */
export class FakeCall implements WaitingCall {
  connection: FakeConnection | undefined;
  picked: PickedConnection | undefined;
  failure: Failure | undefined;
  #channel: Channel | undefined;

  constructor(
    readonly client: ClientShare = new ClientShare(),
    readonly waitForReady = false,
    private readonly onServed: (call: FakeCall) => void = () => {},
  ) {}

  /** As a ClientCall does it. */
  start(channel: Channel): this {
    this.#channel = channel;
    const picked = channel.pick(this.client);
    if (picked !== undefined) this.onConnection(picked);
    else this.failure = channel.wait(this);
    return this;
  }

  open(): void {
    this.start(this.#channel!);
  }

  onConnection(picked: PickedConnection): void {
    this.picked = picked;
    this.connection = picked.connection as FakeConnection;
    picked.onCallBegun();
    this.connection.openStream();
    this.onServed(this);
  }

  /** Its stream ends; a failure of undefined is OK. */
  end(failure?: Failure): void {
    this.picked!.onCallEnded(failure);
    this.connection!.endStream();
  }

  onUnavailable(failure: Failure): void {
    this.failure = failure;
  }
}

/** Time that passes only when the test says so. */
export class TestClock {
  #now = 1000;

  constructor(t: Test) {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    const { now } = performance;
    performance.now = () => this.#now;
    t.teardown(() => {
      performance.now = now;
      mock.timers.reset();
    });
  }

  /** Lets time pass in steps, and what is due run in each. */
  async advance(milliseconds: number, step = 50): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += step) {
      this.#now += step;
      mock.timers.tick(step);
      await ticked();
    }
  }
}

/** Resolves when what was put off to the next tick has run. */
export function ticked(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A backend at these targets. */
export function fakeBackend(
  dialerOf: Backend['dialerOf'],
  targets: readonly string[] = ['127.0.0.1:1'],
  options: Partial<Backend> = {},
): Backend {
  return {
    name: 'backend:1',
    targets: targets.map(parseTarget),
    authority: undefined,
    loadBalancing: 'round_robin',
    watchHealth: undefined,
    ejectsOutliers: true,
    dialerOf,
    ...options,
  };
}

const channels: Channel[] = [];

export function channelTo(dialer: Dialer, maxConnections = 100): Channel {
  const channel = new Channel(
    fakeBackend(() => dialer),
    { ...DEFAULT_DIAL_LIMITS, maxConnections },
  );
  channels.push(channel);
  return channel;
}

/** Calls that still wait for something of a channel keep the process alive. */
export function destroyChannels(): void {
  for (const channel of channels.splice(0)) channel.destroy();
}
