import net from 'node:net';
import type { ClientConnection } from '../../port/connection.js';
import { outsideOfCalls } from '../../port/outside-of-calls.js';
import type { BackendAddress } from '../../port/target.js';
import type { Endpoint } from './endpoint.js';
import type { ClientShare } from './lanes.js';
import type { PickedConnection, Picker } from './picker.js';
import { CONNECTING, IDLE, type SubchannelState } from './subchannel-state.js';

/** "Connection Attempt Delay … 250 milliseconds" (RFC 8305 section 5, Happy Eyeballs; gRFC A61). */
const ATTEMPT_DELAY_MILLISECONDS = 250;

/** An attempt to reach one of the addresses. */
interface Pass {
  /** Those that are still to be tried. */
  readonly untried: Endpoint[];
  /** Those that are being dialled. */
  readonly dialled: Set<Endpoint>;
}

/** Uses the first of a backend's addresses that can be reached, and stays there (gRFC A61, A62). */
export class PickFirst implements Picker {
  #endpoints: readonly Endpoint[] = [];
  /** The one that is used. */
  #selected: Endpoint | undefined;
  /** Undefined: none is being looked for. */
  #pass: Pass | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastFailed: Endpoint | undefined;

  /** These are the addresses now, the one to be tried first at the head. */
  update(endpoints: readonly Endpoint[]): void {
    const isLooking = this.#pass !== undefined;
    this.stop();
    this.#endpoints = endpoints;
    // Which may have been of those that are gone; the others are worth a look.
    this.#lastFailed = undefined;
    if (this.#selected !== undefined && !endpoints.includes(this.#selected)) this.#selected = undefined;
    if (this.#selected !== undefined) this.#select(this.#selected);
    else if (isLooking || endpoints.some(isReady)) this.#begin();
  }

  /** The state of one of them has changed. */
  onChanged(changed: Endpoint): void {
    const { name } = changed.state;
    if (name === 'failed') this.#lastFailed = changed;
    if (changed === this.#selected) {
      if (name === 'idle' || name === 'failed') this.#selected = undefined;
    } else if (name === 'ready') {
      if (this.#selected === undefined) this.#select(changed);
    } else if (name !== 'connecting') {
      // Only once for each that was dialled: several changes may be told by what the last one has led to.
      if (this.#pass?.dialled.delete(changed)) this.#tryNext(this.#pass);
    }
  }

  get state(): SubchannelState {
    if (this.#selected !== undefined) return this.#selected.state;
    if (this.#pass !== undefined) return CONNECTING;
    const last = this.#lastFailed?.state;
    return last?.name === 'failed' ? last : IDLE;
  }

  pick(client: ClientShare, refused?: ClientConnection): PickedConnection | undefined {
    return this.#selected?.pick(client, refused);
  }

  connect(client?: ClientShare): void {
    if (this.#selected !== undefined) this.#selected.connect(client);
    else if (this.#pass === undefined) this.#begin();
    else if (this.#pass.untried.length === 0) this.#tryAgain(this.#pass);
  }

  connectForRefused(client: ClientShare): void {
    if (this.#selected !== undefined) this.#selected.connectForRefused(client);
    else this.connect(client);
  }

  backoffMilliseconds(client: ClientShare): number {
    if (this.#selected !== undefined) return this.#selected.backoffMilliseconds(client);
    let least = Number.POSITIVE_INFINITY;
    for (const endpoint of this.#endpoints) least = Math.min(least, endpoint.backoffMilliseconds());
    return least;
  }

  nextAttemptMilliseconds(client: ClientShare): number {
    if (this.#selected !== undefined) return this.#selected.nextAttemptMilliseconds(client);
    let least = Number.POSITIVE_INFINITY;
    for (const endpoint of this.#endpoints) least = Math.min(least, endpoint.nextAttemptMilliseconds());
    return least;
  }

  /** Leaves nothing behind. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#pass = undefined;
  }

  #begin(): void {
    const ready = this.#endpoints.find(isReady);
    if (ready !== undefined) {
      this.#select(ready);
      return;
    }
    const untried = this.#endpoints.filter((endpoint) => endpoint.backoffMilliseconds() === 0);
    this.#pass = { untried, dialled: new Set() };
    this.#tryNext(this.#pass);
  }

  #tryNext(pass: Pass): void {
    clearTimeout(this.#timer);
    for (let next = pass.untried.shift(); next !== undefined; next = pass.untried.shift()) {
      if (!next.connect()) continue;
      pass.dialled.add(next);
      if (pass.untried.length === 0) return;
      const onDelay = (): void => this.#tryNext(pass);
      this.#timer = outsideOfCalls(() => setTimeout(onDelay, ATTEMPT_DELAY_MILLISECONDS).unref());
      return;
    }
    if (pass.dialled.size === 0) this.#pass = undefined;
  }

  /** Those that have failed need not wait for others that do not even fail. */
  #tryAgain({ dialled }: Pass): void {
    for (const each of this.#endpoints) if (!dialled.has(each) && each.connect()) dialled.add(each);
  }

  #select(selected: Endpoint): void {
    this.stop();
    this.#selected = selected;
    this.#lastFailed = undefined;
    for (const endpoint of this.#endpoints) if (endpoint !== selected) endpoint.rest();
  }
}

function isReady({ state }: Endpoint): boolean {
  return state.name === 'ready';
}

/**
 * The order in which to try addresses: at random, so that many clients do not all choose the same (gRFC A62), and the
 * families in turns, so that one which leads nowhere costs little (RFC 8305 section 4).
 */
export function inTurns(addresses: readonly BackendAddress[]): BackendAddress[] {
  const shuffled = [...addresses];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const other = Math.floor(Math.random() * (i + 1));
    [shuffled[i], shuffled[other]] = [shuffled[other]!, shuffled[i]!];
  }
  const [ofFirst, others]: [BackendAddress[], BackendAddress[]] = [[], []];
  for (const each of shuffled) (isIPv6(each) === isIPv6(shuffled[0]!) ? ofFirst : others).push(each);
  const ordered: BackendAddress[] = [];
  for (let i = 0; i < shuffled.length; i++) {
    const next = [ofFirst[i], others[i]].filter((each) => each !== undefined);
    ordered.push(...next);
  }
  return ordered;
}

function isIPv6({ address }: BackendAddress): boolean {
  return 'host' in address && net.isIPv6(address.host);
}
