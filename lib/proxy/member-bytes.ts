import type { Account, Held, Holder } from '../port/account.js';
import type { ServerCall } from '../server/server-call.js';
import { ShadowBytes } from './shadow-bytes.js';

/**
 * What is held for a secondary of a quorum: charged to its client while that is held back for it, or would be; and as for
 * a shadow when it is left behind, so that it costs no call.
 */
export class MemberBytes implements Held, Holder {
  bytes = 0;
  readonly #call: ServerCall;
  #payer: Held;

  constructor(call: ServerCall) {
    this.#call = call;
    this.#payer = call.held;
  }

  get account(): Account {
    return this.#call.account;
  }

  get held(): Held {
    return this;
  }

  hold(bytes: number): void {
    this.bytes += bytes;
    this.#payer.hold(bytes);
  }

  release(bytes: number): void {
    this.bytes -= bytes;
    this.#payer.release(bytes);
  }

  chargeToClient(): void {
    if (this.#payer instanceof ShadowBytes) this.#chargeTo(this.#call.held);
  }

  chargeToShadows(): void {
    if (!(this.#payer instanceof ShadowBytes)) this.#chargeTo(new ShadowBytes(this.account));
  }

  #chargeTo(payer: Held): void {
    payer.hold(this.bytes);
    this.#payer.release(this.bytes);
    this.#payer = payer;
  }
}
