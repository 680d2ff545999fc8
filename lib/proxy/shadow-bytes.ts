import type { Account, Held, Holder } from '../port/account.js';

/**
 * What a running shadow takes besides the bytes that wait for it: measured (`bench/idle.ts`), a pair of streams is 18 KiB
 * on node:http2 and 5 KiB on the engine. Small calls to one that stands still would else be as many as come in its grace.
 */
const SHADOW_BYTES = 8 * 1024;

let total = 0;
let running = 0;

/** How many bytes the process holds for shadows. */
export function shadowBytes(): number {
  return total;
}

/** Whether one more may run, where so many bytes may be held for all of them. */
export function isRoomForShadow(maxShadowBytes: number): boolean {
  return total + (running + 1) * SHADOW_BYTES <= maxShadowBytes;
}

/** A shadow begins to run. */
export function onShadowBegan(): void {
  running++;
}

/** It runs no more. */
export function onShadowEnded(): void {
  running--;
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
