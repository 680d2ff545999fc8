import { createHash, type Hash } from 'node:crypto';
import type { Allowance } from './allowance.js';

/**
 * What a message is known by until it has been compared: its bytes as long as they may be held, else a digest. That is
 * a part of a SHA-256 because backends could find messages that collide in a quick checksum; it takes no longer than a
 * copy does.
 */
export class MessageSummary {
  /** Of the bytes as they came. */
  readonly length: number;
  readonly compressed: boolean;
  #bytes: Buffer | undefined;
  #digest: string | undefined;
  /** What of the allowance its bytes have; undefined: they are lent. */
  #held: number | undefined;
  #waits = false;

  private constructor(
    length: number,
    compressed: boolean,
    bytes: Buffer | undefined,
    digest: string | undefined,
    held: number | undefined,
  ) {
    this.length = length;
    this.compressed = compressed;
    this.#bytes = bytes;
    this.#digest = digest;
    this.#held = held;
  }

  /** Of a payload that is there only now; see {@link keep}. */
  static ofLent(payload: Buffer, compressed: boolean): MessageSummary {
    return new MessageSummary(payload.length, compressed, payload, undefined, undefined);
  }

  /** Of bytes that are its own, and counted. */
  static ofHeld(bytes: Buffer, compressed: boolean): MessageSummary {
    return new MessageSummary(bytes.length, compressed, bytes, undefined, bytes.length);
  }

  static ofDigest(length: number, compressed: boolean, digest: string): MessageSummary {
    return new MessageSummary(length, compressed, undefined, digest, 0);
  }

  /** The bytes, if they are held. Not to be written to. */
  get bytes(): Buffer | undefined {
    return this.#bytes;
  }

  get digest(): string {
    this.#digest ??= digestOf(newHash().update(this.#bytes!));
    return this.#digest;
  }

  /** Whether the bytes are the same, as they came. */
  equals(other: MessageSummary): boolean {
    if (this.length !== other.length) return false;
    const bytes = this.#bytes;
    const others = other.#bytes;
    return bytes !== undefined && others !== undefined ? bytes.equals(others) : this.digest === other.digest;
  }

  /**
   * Makes it last: of bytes that are lent a copy, or a digest if so many may not be held.
   *
   * @returns false if no more messages may wait
   */
  keep(allowance: Allowance, limit: number): boolean {
    if (this.#waits) return true;
    if (!allowance.takeMessage()) return false;
    this.#waits = true;
    const lent = this.#bytes;
    if (this.#held !== undefined || lent === undefined) return true;
    if (allowance.takeBytes(lent.length, limit)) {
      this.#held = lent.length;
      // Of its own memory: a slice of a slab that others have slices of holds all of it.
      this.#bytes = Buffer.allocUnsafeSlow(lent.length);
      this.#bytes.set(lent);
    } else {
      this.#held = 0;
      this.#digest = digestOf(newHash().update(lent));
      this.#bytes = undefined;
    }
    return true;
  }

  /** It waits no more, and is not to be asked for anything but what it was by then. */
  release(allowance: Allowance): void {
    if (this.#waits) allowance.giveMessage();
    if (this.#held !== undefined) allowance.giveBytes(this.#held);
    this.#waits = false;
    this.#held = 0;
    // Who is about to inflate it may be long in coming to that.
    this.#bytes = undefined;
  }
}

export function newHash(): Hash {
  return createHash('sha256');
}

/** 128 bits: to find two messages with the same ones takes 2^64 attempts. */
export function digestOf(hash: Hash): string {
  return hash.digest('hex').slice(0, 32);
}
