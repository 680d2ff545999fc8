import type { Hash } from 'node:crypto';
import { PrefixReader } from '../../grpc/prefix.js';
import type { Allowance } from './allowance.js';
import { digestOf, MessageSummary, newHash } from './message-summary.js';

/** Cuts a response's DATA into messages, of which it keeps no more than their summaries need. */
export class SummaryReader {
  readonly #allowance: Allowance;
  readonly #limitOf: (compressed: boolean) => number;
  readonly #onMessage: (summary: MessageSummary) => void;
  // The response's own limit has been applied before, and its framing checked.
  readonly #prefix = new PrefixReader(Number.POSITIVE_INFINITY);
  /** Of a message that spans chunks. */
  #body: MessageBody | undefined;
  #stopped = false;

  /**
   * @param limitOf how much may be held for the sake of a message
   * @param onMessage called from within {@link push}; what the summary has of the chunk is lent
   */
  constructor(
    allowance: Allowance,
    limitOf: (compressed: boolean) => number,
    onMessage: (summary: MessageSummary) => void,
  ) {
    this.#allowance = allowance;
    this.#limitOf = limitOf;
    this.#onMessage = onMessage;
  }

  /** Takes the next chunk, which is lent. */
  push(chunk: Buffer): void {
    const prefix = this.#prefix;
    let offset = 0;
    while (offset < chunk.length && !this.#stopped) {
      if (!prefix.complete) {
        offset = prefix.read(chunk, offset);
        if (!prefix.complete) return;
      }
      const end = offset + prefix.length - (this.#body?.length ?? 0);
      const payload = chunk.subarray(offset, end);
      offset += payload.length;
      if (offset < end) {
        if (payload.length > 0) this.#add(payload);
        return;
      }
      let summary: MessageSummary;
      if (this.#body === undefined) {
        summary = MessageSummary.ofLent(payload, prefix.compressed);
      } else {
        this.#add(payload);
        summary = this.#body.summary(prefix.compressed);
        this.#body = undefined;
      }
      prefix.next();
      this.#onMessage(summary);
    }
  }

  /** Reads no more, and holds nothing. */
  stop(): void {
    this.#stopped = true;
    this.#body?.drop();
    this.#body = undefined;
  }

  #add(payload: Buffer): void {
    const { length, compressed } = this.#prefix;
    this.#body ??= new MessageBody(length, this.#allowance, this.#limitOf(compressed));
    this.#body.add(payload);
  }
}

/** Smaller steps would copy what is held again and again. */
const MIN_CAPACITY = 1024;

/** A message that comes in pieces: they are put together as long as they may be held, and from then on digested. */
class MessageBody {
  /** Bytes so far. */
  length = 0;
  readonly #total: number;
  readonly #allowance: Allowance;
  readonly #limit: number;
  #bytes = Buffer.alloc(0);
  #hash: Hash | undefined;

  constructor(total: number, allowance: Allowance, limit: number) {
    this.#total = total;
    this.#allowance = allowance;
    this.#limit = limit;
    if (total > limit) this.#hash = newHash();
  }

  add(piece: Buffer): void {
    if (this.#hash === undefined && !this.#hasRoom(piece.length)) this.#digest();
    if (this.#hash === undefined) this.#bytes.set(piece, this.length);
    else this.#hash.update(piece);
    this.length += piece.length;
  }

  summary(compressed: boolean): MessageSummary {
    return this.#hash === undefined
      ? MessageSummary.ofHeld(this.#bytes, compressed)
      : MessageSummary.ofDigest(this.length, compressed, digestOf(this.#hash));
  }

  drop(): void {
    this.#allowance.giveBytes(this.#bytes.length);
    this.#bytes = Buffer.alloc(0);
  }

  /** Grows with what has come, never on the word of a prefix, and to the message's length in the end. */
  #hasRoom(more: number): boolean {
    const needed = this.length + more;
    const capacity = this.#bytes.length;
    if (needed <= capacity) return true;
    const grown = Math.min(this.#total, Math.max(needed, 2 * capacity, MIN_CAPACITY));
    if (!this.#allowance.takeBytes(grown - capacity, this.#limit)) return false;
    const bytes = Buffer.allocUnsafeSlow(grown);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    return true;
  }

  #digest(): void {
    this.#hash = newHash().update(this.#bytes.subarray(0, this.length));
    this.drop();
  }
}
