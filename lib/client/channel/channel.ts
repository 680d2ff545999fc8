import { MAX_TIMER_MILLISECONDS } from '../../call/deadline.js';
import type { Failure } from '../../call/outcome.js';
import { Code, StatusError } from '../../grpc/status.js';
import type { Account } from '../../port/account.js';
import type { ClientConnection } from '../../port/connection.js';
import { nextTickOutside, outsideOfCalls } from '../../port/outside-of-calls.js';
import type { Backend } from './backend.js';
import type { ChannelLimits } from './channel-limits.js';
import {
  type AddressState,
  type ConnectionCounts,
  type ConnectivityState,
  type ConnectivityStateName,
  SHUTDOWN,
} from './connectivity.js';
import { Endpoints, type EndpointsOwner } from './endpoints.js';
import { type ClientShare, type Lane, Lanes } from './lanes.js';
import type { PickedConnection } from './picker.js';
import { connectivityOf, failureOf } from './told-state.js';
import { type WaitingCall, WaitingCalls } from './waiting-calls.js';

/**
 * How long a refused call waits for another connection than the one that refused it. A server that counts ended
 * streams late (gRPC's C-core) refuses below its own limit, for some milliseconds.
 */
const REFUSED_WAIT_MILLISECONDS = 100;

/** Calls that were refused are looked through as far as this whenever there may be room. */
const MAX_REFUSED_TRIES = 64;

/** Where the calls to one backend get their connections. */
export class Channel implements EndpointsOwner {
  readonly #target: string;
  readonly #limits: ChannelLimits;
  readonly #lanes: Lanes;
  readonly #endpoints: Endpoints;
  readonly #waiting = new WaitingCalls();
  /** Calls that were refused, by whom, and until when they would rather have another connection. */
  readonly #refused = new Map<
    WaitingCall,
    { readonly by: ClientConnection; readonly timer: NodeJS.Timeout }
  >();
  /** Calls that back off: each waits for its own time, whatever connections there are. */
  readonly #backingOff = new Map<WaitingCall, NodeJS.Timeout>();
  /** The next turn gives connections to those that were refused. */
  #isServing = false;
  /** The calls that run, or wait. */
  #calls = 0;
  #isShutDown = false;
  /** Of the state `failed`, made once for all calls that fail by it. */
  #failure: Failure | undefined;
  /** Runs while calls wait for the backoff; and when it ends, on the clock of `performance.now()`. */
  #backoffTimer: NodeJS.Timeout | undefined;
  #backoffEndsAt = Number.POSITIVE_INFINITY;
  #stateListeners = new Set<() => void>();
  #closed: Promise<void> | undefined;
  #resolveClosed: (() => void) | undefined;

  constructor(backend: Backend, limits: ChannelLimits) {
    this.#target = backend.name;
    this.#limits = limits;
    this.#lanes = new Lanes(limits.maxConnections);
    this.#endpoints = new Endpoints(backend, limits, this.#lanes, this);
  }

  get state(): ConnectivityState {
    if (this.#isShutDown) return SHUTDOWN;
    const { state } = this.#endpoints;
    if (state.name !== 'failed') return connectivityOf(state, this.#target);
    return { name: 'TRANSIENT_FAILURE', error: this.#currentFailure().error };
  }

  /** The addresses that are known now, each as it stands. */
  get addresses(): AddressState[] {
    return this.#endpoints.addresses;
  }

  /** What has gone wrong with connections so far. */
  get counts(): ConnectionCounts {
    return this.#endpoints.counts;
  }

  /** Resolves with the state once it is another than `from`. */
  async waitForStateChange(from: ConnectivityStateName, signal?: AbortSignal): Promise<ConnectivityState> {
    while (this.state.name === from) {
      signal?.throwIfAborted();
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#stateListeners.delete(done);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        this.#stateListeners.add(done);
        signal?.addEventListener('abort', done, { once: true });
      });
    }
    return this.state;
  }

  /** Makes a connection if there is none. */
  connect(): void {
    if (!this.#isShutDown && this.#endpoints.state.name !== 'ready') this.#endpoints.connect();
  }

  /** A client's part in the connections, by which its calls are told from others'. */
  shareOf(client: Account): ClientShare {
    return this.#lanes.shareOf(client);
  }

  /** A connection with room for a stream, unless others wait for one; the stream must be opened at once. */
  pick(client: ClientShare): PickedConnection | undefined {
    const isLast = this.#lanes.areUsed ? this.#waiting.has(client) : this.#waiting.size > 0;
    return isLast ? undefined : this.#endpoints.pick(client);
  }

  /** The calls that run, or wait for a connection. */
  get calls(): number {
    return this.#calls;
  }

  /** A call begins; returns why it can't. Each that can {@link end}s once. */
  begin(): Failure | undefined {
    const most = this.#limits.maxConcurrentCalls;
    if (this.#calls < most) {
      this.#calls++;
      return undefined;
    }
    return limitReached(`${most} calls to ${this.#target} are running already`);
  }

  /** It is over. */
  end(): void {
    this.#calls--;
  }

  /** Lets a call wait for a connection; returns why it can't. */
  wait(call: WaitingCall): Failure | undefined {
    const refusal = this.#refusal(call.client);
    if (refusal !== undefined) return refusal;
    const next = this.#endpoints.nextAttemptMilliseconds(call.client);
    this.#endpoints.connect(call.client);
    if (this.#endpoints.state.name === 'failed' && !call.waitForReady) return this.#currentFailure();
    this.#waiting.add(call);
    this.#connectIn(next);
    return undefined;
  }

  /** Lets a call wait that was refused on a connection: for another, for a while. */
  waitRefused(call: WaitingCall, by: ClientConnection): Failure | undefined {
    const refusal = this.#refusal(call.client);
    if (refusal !== undefined) return refusal;
    const timer = setTimeout(() => this.#waited(call), REFUSED_WAIT_MILLISECONDS);
    this.#refused.set(call, { by, timer });
    this.#endpoints.connectForRefused(call.client);
    // Not at once: the connection that it was refused on is telling its streams.
    if (!this.#isServing) process.nextTick(serve, this);
    this.#isServing = true;
    return undefined;
  }

  /** Lets a call wait that its backend has failed: for so many milliseconds, and then for a connection. */
  backOff(call: WaitingCall, milliseconds: number): void {
    this.#backingOff.set(
      call,
      setTimeout(() => this.#waited(call), milliseconds),
    );
  }

  stopWaiting(call: WaitingCall): void {
    if (this.#waiting.delete(call)) this.#onWaitingLess();
    clearTimeout(this.#backingOff.get(call));
    this.#backingOff.delete(call);
    clearTimeout(this.#refused.get(call)?.timer);
    this.#refused.delete(call);
  }

  /** Fails the calls that wait, lets running ones finish; resolves when all connections have ended. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#resolveClosed = resolve;
      this.#shutDown();
      this.#endpoints.shutDown();
      if (this.#endpoints.areEmpty) resolve();
    });
    return this.#closed;
  }

  /** Ends all connections at once. */
  destroy(): void {
    this.#shutDown();
    this.#endpoints.destroy();
  }

  #shutDown(): void {
    if (this.#isShutDown) return;
    this.#isShutDown = true;
    this.#failAll();
    process.nextTick(tellStateChanged, this);
  }

  onStateChanged(): void {
    this.#failure = undefined;
    const endpoints = this.#endpoints;
    const { name } = endpoints.state;
    if (name === 'failed') {
      const failure = this.#currentFailure();
      const isHopeless = ({ client, waitForReady }: WaitingCall): boolean =>
        !waitForReady && endpoints.backoffMilliseconds(client) > 0;
      for (const call of this.#waiting.take(isHopeless)) call.onUnavailable(failure);
    }
    // What knows of a connection only now has not been asked for it.
    this.onRoom();
    for (const listener of this.#stateListeners) listener();
  }

  /** Gives connections to the calls that wait, as far as there is room. */
  onRoom(): void {
    this.#isServing = false;
    // It may be another call that makes room.
    if (this.#refused.size > 0) outsideOfCalls(() => this.#serveRefused());
    if (this.#waiting.size > 0) outsideOfCalls(() => this.#serveWaiting());
    this.#grow();
    this.#onWaitingLess();
  }

  #serveRefused(): void {
    let tries = 0;
    for (const [call, { by }] of this.#refused) {
      // They have a timer, too.
      if (++tries > MAX_REFUSED_TRIES) return;
      const connection = this.#endpoints.pick(call.client, by);
      if (connection === undefined) continue;
      this.stopWaiting(call);
      call.onConnection(connection);
    }
  }

  /** Only calls that wait keep the process alive. */
  #onWaitingLess(): void {
    if (this.#waiting.size === 0) this.#backoffTimer?.unref();
  }

  /** Gives connections to the clients in turn, until none finds one. */
  #serveWaiting(): void {
    const full = new Set<Lane>();
    // A client that has been served stands at the end again, if it has more.
    for (const client of this.#waiting.clients) {
      const lane = this.#lanes.of(client);
      if (full.has(lane)) continue;
      const connection = this.#endpoints.pick(client);
      if (connection !== undefined) {
        this.#waiting.shift(client)?.onConnection(connection);
        continue;
      }
      if (!this.#lanes.areUsed) return;
      full.add(lane);
    }
  }

  /** Makes a connection for the calls that wait, for one lane at a time, and again once the backoff allows it. */
  #grow(): void {
    if (this.#waiting.size === 0) return;
    let least = Number.POSITIVE_INFINITY;
    const seen = new Set<Lane>();
    for (const client of this.#waiting.clients) {
      const lane = this.#lanes.of(client);
      if (seen.has(lane)) continue;
      seen.add(lane);
      // Before: a backoff that is over between the two would be waited for by nobody.
      least = Math.min(least, this.#endpoints.nextAttemptMilliseconds(client));
      this.#endpoints.connect(client);
      if (!this.#lanes.areUsed) break;
    }
    this.#connectIn(least);
  }

  onEmpty(): void {
    this.#resolveClosed?.();
  }

  /** It has waited for its time: now any connection will do. */
  #waited(call: WaitingCall): void {
    this.stopWaiting(call);
    call.open();
  }

  /** Why no call can wait, whatever it asks for. */
  #refusal(client: ClientShare): Failure | undefined {
    if (this.#isShutDown) return this.#shutdown();
    const most = this.#limits.maxWaitingCalls;
    if (this.#waiting.size + this.#refused.size < most) return undefined;
    const failure = limitReached(`${most} calls wait for a connection to ${this.#target} already`);
    // Who asks next need not be who has filled the queue.
    const other = this.#waiting.takeOfLargest(client);
    if (other === undefined) return failure;
    // Not at once: another call is at work.
    nextTickOutside(() => other.onUnavailable(failure));
    return undefined;
  }

  #shutdown(): Failure {
    const message = `the connection to ${this.#target} is closed`;
    return { error: StatusError.withoutStack(Code.UNAVAILABLE, message), reason: 'backend_connect' };
  }

  #currentFailure(): Failure {
    const { state } = this.#endpoints;
    if (state.name !== 'failed') return this.#shutdown();
    this.#failure ??= failureOf(state, this.#target);
    return this.#failure;
  }

  /** Connects again then, for the calls that still wait, unless it does so before. */
  #connectIn(milliseconds: number): void {
    if (milliseconds === Number.POSITIVE_INFINITY) return;
    const endsAt = performance.now() + milliseconds;
    if (this.#backoffEndsAt <= endsAt) {
      this.#backoffTimer?.ref();
      return;
    }
    clearTimeout(this.#backoffTimer);
    this.#backoffEndsAt = endsAt;
    const onOver = (): void => {
      this.#backoffEndsAt = Number.POSITIVE_INFINITY;
      this.#grow();
    };
    const wait = Math.min(milliseconds + 1, MAX_TIMER_MILLISECONDS);
    this.#backoffTimer = outsideOfCalls(() => setTimeout(onOver, wait));
  }

  #failAll(): void {
    clearTimeout(this.#backoffTimer);
    const calls = [...this.#refused.keys(), ...this.#backingOff.keys(), ...this.#waiting.take()];
    for (const call of calls) {
      this.stopWaiting(call);
      call.onUnavailable(this.#shutdown());
    }
  }
}

function limitReached(message: string): Failure {
  return { error: StatusError.withoutStack(Code.RESOURCE_EXHAUSTED, message), reason: 'limit' };
}

function tellStateChanged(channel: Channel): void {
  channel.onStateChanged();
}

function serve(channel: Channel): void {
  channel.onRoom();
}
