import type { KeepaliveTimes } from './limits.js';

/**
 * Between two PINGs without a stream's frame in between. Servers on C-core count a PING that comes earlier as a strike
 * ("too_many_pings"): GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS is "300000(5 minutes)" (gRPC's
 * doc/keepalive.md).
 */
const SILENT_INTERVAL_MILLISECONDS = 300_000;

/** What {@link Keepalive.check} finds: nothing, that a PING is due, or that the peer has not answered one. */
export type KeepaliveVerdict = 'alive' | 'ping' | 'dead';

/**
 * The rule by which a silent peer is found dead. It is looked at every so often; the hot path only sets flags.
 */
export class Keepalive {
  /** Set when anything is received. */
  heard = true;
  /**
   * Set when a stream's frame is received, what gRPC servers want to see between two PINGs, and when a stream is opened:
   * the peer owes it an answer.
   */
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

  /**
   * @param isNeeded whether anything depends on the peer; if not, it may be silent for ever
   * @param soon the silence after which it is asked, once, where that is to be sooner than the times say
   */
  check(now: number, isNeeded: boolean, soon = Infinity): KeepaliveVerdict {
    if (this.heard || !isNeeded) {
      this.heard = false;
      this.#heardAt = now;
      this.#isAnswerDue = false;
      return 'alive';
    }
    if (this.#isAnswerDue) return now - this.#pingedAt >= this.#times.timeoutMilliseconds ? 'dead' : 'alive';
    const silence = now - this.#heardAt;
    if (silence < soon) {
      if (silence < this.#times.timeMilliseconds) return 'alive';
      if (!this.active && now - this.#pingedAt < SILENT_INTERVAL_MILLISECONDS) return 'alive';
    }
    this.#pingedAt = now;
    this.#isAnswerDue = true;
    this.active = false;
    return 'ping';
  }
}
