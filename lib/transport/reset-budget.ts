import { Bucket } from '../port/bucket.js';
import type { Rate } from '../port/rate.js';

/** The part of what a peer may be sent that is kept for the streams which run when no more are opened. */
const RESERVE = 0.2;

/**
 * What a backend may be sent in RST_STREAM frames. Common servers end a connection that resets many of its streams, with
 * all that runs on it ("rapid reset", CVE-2023-44487), whoever it was that wanted them reset. So it is left for new
 * streams before that, and what is too much is not sent: the peer hears of it by the connection's end.
 */
export class ResetBudget<Reset> {
  readonly #bucket: Bucket;
  #withheld: Reset[] = [];

  constructor(rate: Rate) {
    this.#bucket = new Bucket(rate);
  }

  /** Whether one more can be sent now, which counts as sent. */
  take(): boolean {
    return this.#withheld.length === 0 && this.#bucket.take();
  }

  /** It is not sent, for now. */
  withhold(reset: Reset): void {
    this.#withheld.push(reset);
  }

  /** So little is left that no more streams should be opened. */
  get isLow(): boolean {
    return this.#bucket.isBelow(RESERVE);
  }

  get isWithholding(): boolean {
    return this.#withheld.length > 0;
  }

  /** Those that can be sent after all. */
  *due(): Iterable<Reset> {
    while (this.#withheld.length > 0 && this.#bucket.take()) yield this.#withheld.shift()!;
  }
}
