import type { Account, Held, Holder } from '../port/account.js';

let total = 0;

/** How many bytes the process holds for shadows. */
export function shadowBytes(): number {
  return total;
}

/**
 * What is held for one shadow, wherever that waits. It counts for nobody else: not for its client, nor for what the
 * process holds for calls, since over either limit calls are ended.
 */
export class ShadowBytes implements Held, Holder {
  bytes = 0;
  /** The client's, by which its calls to a backend are told from others'. */
  readonly account: Account;

  constructor(account: Account) {
    this.account = account;
  }

  get held(): Held {
    return this;
  }

  hold(bytes: number): void {
    this.bytes += bytes;
    total += bytes;
  }

  release(bytes: number): void {
    this.bytes -= bytes;
    total -= bytes;
  }
}
