/**
 * What each client costs this process: the bytes that are held for its calls, wherever they wait, and the calls that
 * it lets go to waste. A client is a connection: what one of them does is charged to it alone.
 *
 *     process ─┬─ Account ─┬─ HeldBytes (a call)
 *              │           ├─ HeldBytes (another)
 *              │           └─ HeldBytes (the connection itself: output, half a frame)
 *              └─ Account ─── …
 *
 * Who is over a limit is not the one who asks next but the one who holds most: "an endpoint that doesn't monitor use of
 * these features exposes itself to a risk of denial of service" (RFC 9113 section 10.5).
 */
import { Bucket } from './bucket.js';
import { immediatelyOutside } from './outside-of-calls.js';
import type { Rate } from './rate.js';

/** What a client may cost. */
export interface AccountLimits {
  /** Above this sum over all accounts of the process, the largest holders are ended; in bytes. */
  readonly maxHeldBytes: number;
  /** Above this, the client's largest holders are ended; in bytes. */
  readonly maxHeldBytesPerConnection: number;
  /** The calls that it may let go to waste. */
  readonly abandonedCalls: Rate;
}

/** What is told when a limit is exceeded; never from inside a method of an account or of what belongs to it. */
export interface Debtor {
  /** It holds most of too much: it is to end, so that what it holds is released. */
  onTooMuchHeld(): void;
}

/** A part of the limit that is freed at a time, so that the holders are not sorted for each further byte. */
const RELIEF = 1 / 8;

const NEVER = -1_000_000;

/** How long who was told to end may take for it. */
const ENDING_MILLISECONDS = 1000;

let total = 0;
/** The accounts that hold anything, linked both ways: entering and leaving costs the same however many there are. */
let firstAccount: Account | undefined;

/** How many bytes the process holds for calls. */
export function heldBytes(): number {
  return total;
}

/** What bytes that are held are charged to. */
export interface Held {
  /** So many more are held. */
  hold(bytes: number): void;
  /** So many are held no more. */
  release(bytes: number): void;
}

/** What is held for one call, or by one connection. */
export class HeldBytes implements Held {
  bytes = 0;
  readonly account: Account;
  readonly #debtor: Debtor;
  /** The neighbours among those of the account that hold anything. */
  previous: HeldBytes | undefined;
  next: HeldBytes | undefined;
  /** When it was told to end, in whole milliseconds of `performance.now()`; a number with a fraction would be an object. */
  toldAt = NEVER;

  constructor(account: Account, debtor: Debtor) {
    this.account = account;
    this.#debtor = debtor;
  }

  hold(bytes: number): void {
    if (bytes === 0) return;
    if (this.bytes === 0) this.account.enlist(this);
    this.bytes += bytes;
    this.account.add(bytes);
  }

  release(bytes: number): void {
    if (bytes === 0) return;
    this.bytes -= bytes;
    this.account.subtract(bytes);
    if (this.bytes === 0) this.account.unlist(this);
  }

  tellTooMuch(): void {
    this.toldAt = Math.trunc(performance.now());
    this.#debtor.onTooMuchHeld();
  }
}

/** What a client has had too much of: calls that went to waste, or bytes that don't go away when its calls are ended. */
export type Overdraft = 'calls' | 'bytes';

/** Whose something is, and what it is charged to; made when there is something, since for most calls nothing is held. */
export interface Holder {
  readonly account: Account;
  readonly held: Held;
}

/** What one client costs. */
export class Account {
  bytes = 0;
  readonly #limits: AccountLimits;
  readonly #abandoned: Bucket;
  #onOverdrawn: (by: Overdraft) => void;
  #firstHolder: HeldBytes | undefined;
  #previous: Account | undefined;
  #next: Account | undefined;
  #isTold = false;
  /** Runs while holders have time to end: one is enough, however often they are told. */
  #recheckTimer: NodeJS.Timeout | undefined;

  /** @param onOverdrawn called once, when there is no other way than to close the client's connection */
  constructor(limits: AccountLimits, onOverdrawn: (by: Overdraft) => void) {
    this.#limits = limits;
    this.#abandoned = new Bucket(limits.abandonedCalls);
    this.#onOverdrawn = onOverdrawn;
  }

  /** The client has gone: whoever still knows its account must not keep its connection alive. */
  close(): void {
    this.#onOverdrawn = () => {};
  }

  /** A call that was worth its while pays for one that is not: hedging clients cancel many of theirs. */
  onCallCompleted(): void {
    this.#abandoned.give();
  }

  /** The client has made this side begin a call for nothing: it has reset it, or spoilt it. */
  onCallAbandoned(): void {
    if (!this.#abandoned.take()) this.#overdraw('calls');
  }

  #overdraw(by: Overdraft): void {
    if (this.#isTold) return;
    this.#isTold = true;
    immediatelyOutside(() => this.#onOverdrawn(by));
  }

  /** @internal For {@link HeldBytes}. */
  add(bytes: number): void {
    if (this.bytes === 0) this.#enlist();
    this.bytes += bytes;
    total += bytes;
    const { maxHeldBytes, maxHeldBytesPerConnection } = this.#limits;
    if (this.bytes > maxHeldBytesPerConnection || total > maxHeldBytes) relieveLater(this);
  }

  /** @internal */
  subtract(bytes: number): void {
    this.bytes -= bytes;
    total -= bytes;
    if (this.bytes === 0) this.#unlist();
  }

  /** @internal */
  enlist(holder: HeldBytes): void {
    holder.next = this.#firstHolder;
    if (this.#firstHolder !== undefined) this.#firstHolder.previous = holder;
    this.#firstHolder = holder;
  }

  /** @internal */
  unlist(holder: HeldBytes): void {
    if (holder.previous === undefined) this.#firstHolder = holder.next;
    else holder.previous.next = holder.next;
    if (holder.next !== undefined) holder.next.previous = holder.previous;
    holder.previous = undefined;
    holder.next = undefined;
  }

  /** Ends the largest holders where a limit is exceeded. */
  relieve(): void {
    const { maxHeldBytes, maxHeldBytesPerConnection } = this.#limits;
    if (this.bytes > maxHeldBytesPerConnection) {
      this.#endLargest(this.bytes - (1 - RELIEF) * maxHeldBytesPerConnection);
    }
    if (total <= maxHeldBytes) return;
    let excess = total - (1 - RELIEF) * maxHeldBytes;
    for (const account of accountsBySize()) {
      if (excess <= 0) break;
      excess -= account.#endLargest(excess);
    }
  }

  /** Ends the largest holders until so much is, or will be, released; returns how much that is. */
  #endLargest(excess: number): number {
    const holders: HeldBytes[] = [];
    for (let holder = this.#firstHolder; holder !== undefined; holder = holder.next) holders.push(holder);
    holders.sort((a, b) => b.bytes - a.bytes);
    // What those hold that were told a moment ago is as good as released.
    const since = performance.now() - ENDING_MILLISECONDS;
    let released = 0;
    for (const holder of holders) if (holder.toldAt > since) released += holder.bytes;
    for (const holder of holders) {
      if (released >= excess) break;
      if (holder.toldAt > since) continue;
      // A peer that reads nothing at all does not let its streams end either.
      if (holder.toldAt !== NEVER) this.#overdraw('bytes');
      released += holder.bytes;
      holder.tellTooMuch();
    }
    if (released > 0) this.#recheckTimer ??= setTimeout(recheck, ENDING_MILLISECONDS + 1, this).unref();
    return released;
  }

  /** @internal Who was told to end has had its time. */
  recheck(): void {
    this.#recheckTimer = undefined;
    relieveLater(this);
  }

  #enlist(): void {
    this.#next = firstAccount;
    if (firstAccount !== undefined) firstAccount.#previous = this;
    firstAccount = this;
  }

  #unlist(): void {
    if (this.#previous === undefined) firstAccount = this.#next;
    else this.#previous.#next = this.#next;
    if (this.#next !== undefined) this.#next.#previous = this.#previous;
    this.#previous = undefined;
    this.#next = undefined;
  }

  /** Whether it can be over a limit at all. */
  get isLimited(): boolean {
    return this.#limits.maxHeldBytes < Infinity;
  }

  /** The account after this one in the list of those that hold anything. */
  get next(): Account | undefined {
    return this.#next;
  }
}

function accountsBySize(): Account[] {
  const accounts: Account[] = [];
  for (let account = firstAccount; account !== undefined; account = account.next) {
    if (account.isLimited) accounts.push(account);
  }
  return accounts.sort((a, b) => b.bytes - a.bytes);
}

/** The accounts by which a limit was found exceeded in this turn. */
const pressed = new Set<Account>();

/** Not at once: who holds more is in the midst of something, and may be who has to end. */
function relieveLater(account: Account): void {
  pressed.add(account);
  if (pressed.size === 1) immediatelyOutside(relieve);
}

function recheck(account: Account): void {
  account.recheck();
}

function relieve(): void {
  const accounts = [...pressed];
  pressed.clear();
  for (const account of accounts) account.relieve();
}

/** Of what belongs to no client: counted, and never ended. */
export const NOBODYS = new HeldBytes(
  new Account(
    {
      maxHeldBytes: Infinity,
      maxHeldBytesPerConnection: Infinity,
      abandonedCalls: { burst: Infinity, perSecond: 0 },
    },
    () => {},
  ),
  { onTooMuchHeld() {} },
);

/** Whoever is none of a client's calls. */
export const NO_HOLDER: Holder = { account: NOBODYS.account, held: NOBODYS };
