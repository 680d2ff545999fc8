import type { Account, Held, Holder } from '../port/account.js';
import { chargedSize, type HeaderList } from '../port/headers.js';

let total = 0;

/** How many bytes the process holds for shadows. */
export function shadowBytes(): number {
  return total;
}

/** What the objects of a call take, about: those of its streams, too. */
const CALL_BYTES = 8192;

/**
 * A call is kept after its end for one of its streams: its client has nothing of it open any more, and could begin
 * others without end.
 *
 * @returns what is to be given to {@link releaseCall}
 */
export function holdCall(headers: HeaderList): number {
  const bytes = CALL_BYTES + chargedSize(headers);
  total += bytes;
  return bytes;
}

export function releaseCall(bytes: number): void {
  total -= bytes;
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
