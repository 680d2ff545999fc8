import type { KeepaliveTimes } from './limits.js';

/** What {@link Keepalive.check} finds: nothing, that the peer is to be asked and how, or that it has not answered. */
export type KeepaliveVerdict = 'alive' | 'ping' | 'settings' | 'dead';

/**
 * The rule by which a silent peer is found dead. It is looked at every so often; the hot path only sets flags.
 *
 * It is asked by PING, but by no second one until it has sent a stream's frame: a gRPC server counts PINGs that come
 * while it sends neither HEADERS nor DATA, and ends the connection with its calls over the third too soon (gRFC A8,
 * "Server Enforcement"). By default it permits one in 5 minutes, where a stream may be silent for hours. In between it is
 * asked by empty SETTINGS, which are acknowledged as well (RFC 9113 section 6.5.3), and which nobody counts so strictly.
 */
export class Keepalive {
  /** Set when anything is received. */
  heard = true;
  /** Set when a stream's frame is received. */
  active = true;
  readonly #times: KeepaliveTimes;
  #lookedAt = performance.now();
  /** Since when it has been silent, at most: the last look before the one that found something received. */
  #silentSince = this.#lookedAt;
  #askedAt = 0;
  #isAnswerDue = false;

  constructor(times: KeepaliveTimes) {
    this.#times = times;
  }

  /**
   * @param isNeeded whether anything depends on the peer; if not, it is not asked
   * @param soon the silence after which it is asked, once, where that is to be sooner than the times say
   */
  check(now: number, isNeeded: boolean, soon = Infinity): KeepaliveVerdict {
    const lastLook = this.#lookedAt;
    this.#lookedAt = now;
    if (this.heard) {
      this.heard = false;
      this.#silentSince = lastLook;
      this.#isAnswerDue = false;
      return 'alive';
    }
    const { timeMilliseconds, timeoutMilliseconds } = this.#times;
    // Needed or not: calls that are given up before the time is over would never let it be found out.
    if (this.#isAnswerDue) return now - this.#askedAt >= timeoutMilliseconds ? 'dead' : 'alive';
    // The silence counts from before there was a call: "it is important to not reset the keepalive time when a
    // connection becomes active" (gRFC A8).
    if (!isNeeded || now - this.#silentSince < Math.min(timeMilliseconds, soon)) return 'alive';
    this.#askedAt = now;
    this.#isAnswerDue = true;
    if (!this.active) return 'settings';
    this.active = false;
    return 'ping';
  }
}
