import type { Failure } from '../../call/outcome.js';
import type { ClientShare } from './lanes.js';
import type { PickedConnection } from './picker.js';

/** A call that waits for a connection. */
export interface WaitingCall {
  /** Whose call it is: clients take turns, however many calls each has waiting. */
  readonly client: ClientShare;
  /** Goes on waiting when no connection could be made. */
  readonly waitForReady: boolean;
  /** It has waited for its time: it asks for a connection. */
  open(): void;
  /** There is a connection with room; the call opens its stream before this returns. */
  onConnection(picked: PickedConnection): void;
  /** It waits no longer. */
  onUnavailable(failure: Failure): void;
}

/** The calls that wait, in the order in which they are served: one of each client, again and again. */
export class WaitingCalls {
  size = 0;
  /** By client, each with its calls in the order in which they came; the client whose turn it is comes first. */
  readonly #clients = new Map<ClientShare, Set<WaitingCall>>();

  add(call: WaitingCall): void {
    let calls = this.#clients.get(call.client);
    if (calls === undefined) {
      calls = new Set();
      this.#clients.set(call.client, calls);
    }
    calls.add(call);
    this.size++;
  }

  /** Takes a call out; whether it was there. */
  delete(call: WaitingCall): boolean {
    const calls = this.#clients.get(call.client);
    if (calls === undefined || !calls.delete(call)) return false;
    if (calls.size === 0) this.#clients.delete(call.client);
    this.size--;
    return true;
  }

  /** Whether any of a client's calls wait. */
  has(client: ClientShare): boolean {
    return this.#clients.has(client);
  }

  /** The clients that have calls waiting, the one whose turn it is first. */
  get clients(): Iterable<ClientShare> {
    return this.#clients.keys();
  }

  /** Takes out the next call of a client, whose turn is over then. */
  shift(client: ClientShare): WaitingCall | undefined {
    const calls = this.#clients.get(client);
    if (calls !== undefined) {
      for (const call of calls) {
        this.delete(call);
        if (calls.size > 0) {
          this.#clients.delete(client);
          this.#clients.set(client, calls);
        }
        return call;
      }
    }
    return undefined;
  }

  /** Takes out a call of the client that has most of them, if that is more than this one would have. */
  takeOfLargest(client: ClientShare): WaitingCall | undefined {
    let most = (this.#clients.get(client)?.size ?? 0) + 1;
    let largest: ClientShare | undefined;
    for (const [other, calls] of this.#clients) {
      if (calls.size <= most) continue;
      most = calls.size;
      largest = other;
    }
    return largest === undefined ? undefined : this.shift(largest);
  }

  /** Takes out those that `isMeant`, all of them by default. */
  take(isMeant: (call: WaitingCall) => boolean = () => true): WaitingCall[] {
    const taken: WaitingCall[] = [];
    for (const calls of this.#clients.values()) {
      for (const call of calls) if (isMeant(call)) taken.push(call);
    }
    for (const call of taken) this.delete(call);
    return taken;
  }
}
