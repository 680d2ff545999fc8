import type { Http2Session } from 'node:http2';
import type { SessionState } from './stream.js';

/** How long a session that is needed may be silent before it is asked whether it lives. */
const KEEPALIVE_TIME_MILLISECONDS = 10_000;

/** How long it has to answer. */
const KEEPALIVE_TIMEOUT_MILLISECONDS = 10_000;

/**
 * gRPC servers count a PING as abuse when the last one came less than five minutes before and they have sent
 * nothing since (gRPC A8, "client-side keepalive": "MIN_RECV_PING_INTERVAL_WITHOUT_DATA, 5 minutes").
 */
const SILENT_PING_INTERVAL_MILLISECONDS = 5 * 60_000;

/** Times of a {@link Keepalive}, in milliseconds. */
export interface KeepaliveTimes {
  readonly time: number;
  readonly timeout: number;
}

const DEFAULT_TIMES: KeepaliveTimes = {
  time: KEEPALIVE_TIME_MILLISECONDS,
  timeout: KEEPALIVE_TIMEOUT_MILLISECONDS,
};

/**
 * Finds out that a session is dead and ends it, with its streams. A session can hang in three ways: the peer is
 * gone without a FIN; it stands still; or it broke the protocol, upon which Node sends GOAWAY, emits no event,
 * and leaves the session open for ever (FINDINGS, "zombie sessions").
 */
export class Keepalive {
  readonly #session: Http2Session;
  readonly #state: SessionState;
  readonly #isNeeded: () => boolean;
  readonly #destroy: () => void;
  readonly #timer: NodeJS.Timeout;
  readonly #times: KeepaliveTimes;
  #answerTimer: NodeJS.Timeout | undefined;
  #heardSincePing = true;
  #lastPing = 0;

  /** @param destroy ends the session when it is dead; {@link stop} must be called when it has ended */
  constructor(
    session: Http2Session,
    state: SessionState,
    isNeeded: () => boolean,
    destroy: () => void,
    times = DEFAULT_TIMES,
  ) {
    this.#session = session;
    this.#state = state;
    this.#isNeeded = isNeeded;
    this.#destroy = destroy;
    this.#times = times;
    this.#timer = setInterval(() => this.#check(), times.time).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#answerTimer);
  }

  #end(): void {
    this.stop();
    this.#destroy();
  }

  #check(): void {
    // It has failed by itself, and not come to its end.
    if (this.#session.destroyed) {
      this.#end();
      return;
    }
    const { heard } = this.#state;
    this.#state.heard = false;
    if (heard) this.#heardSincePing = true;
    if (heard || !this.#isNeeded() || this.#answerTimer !== undefined) return;
    const now = performance.now();
    if (!this.#heardSincePing && now - this.#lastPing < SILENT_PING_INTERVAL_MILLISECONDS) return;
    this.#lastPing = now;
    this.#heardSincePing = false;
    this.#answerTimer = setTimeout(() => this.#end(), this.#times.timeout).unref();
    const sent = this.#session.ping(() => {
      clearTimeout(this.#answerTimer);
      this.#answerTimer = undefined;
    });
    if (!sent) this.#end();
  }
}
