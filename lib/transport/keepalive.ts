import type { KeepaliveTimes } from './limits.js';

/** What {@link Keepalive.check} finds: nothing, that a PING is due, or that the peer has not answered one. */
export type KeepaliveVerdict = 'alive' | 'ping' | 'dead';

/**
 * The rule by which a silent peer is found dead. It is looked at every so often; the hot path only sets flags.
 */
export class Keepalive {
  /** Set when anything is received. */
  heard = true;
  /** Set when a stream's frame is received: what gRPC servers want to see between two PINGs. */
  active = true;
  readonly #times: KeepaliveTimes;
  #heardAt = performance.now();
  #pingedAt = Number.NEGATIVE_INFINITY;
  #isAnswerDue = false;

  constructor(times: KeepaliveTimes) {
    this.#times = times;
  }

  /** The peer has acknowledged a PING. */
  onAnswer(): void {
    this.#isAnswerDue = false;
  }

  /** @param isNeeded whether anything depends on the peer; if not, it may be silent for ever */
  check(now: number, isNeeded: boolean): KeepaliveVerdict {
    if (this.heard || !isNeeded) {
      this.heard = false;
      this.#heardAt = now;
      this.#isAnswerDue = false;
      return 'alive';
    }
    if (this.#isAnswerDue) return now - this.#pingedAt >= this.#times.timeoutMilliseconds ? 'dead' : 'alive';
    if (now - this.#heardAt < this.#times.timeMilliseconds) return 'alive';
    if (!this.active && now - this.#pingedAt < this.#times.silentIntervalMilliseconds) return 'alive';
    this.#pingedAt = now;
    this.#isAnswerDue = true;
    this.active = false;
    return 'ping';
  }
}
