import { TOO_MANY_PINGS } from './connection-ends.js';
import type { DialKeepaliveTimes } from './limits.js';

/** gRFC A8: "Restricts clients to avoid configuring their keepalive below […] ten seconds". Here they are warned. */
const LEAST_MILLISECONDS = 10_000;

/** As often even a server without calls permits a PING ("2 hours", gRFC A8). */
const MOST_MILLISECONDS = 2 * 60 * 60 * 1000;

/**
 * When one backend is asked whether it lives, which it can complain of. Shared by all that makes connections to it, since
 * what it has said on one holds for those that follow.
 */
export class BackendKeepalive {
  readonly #target: string;
  #times: DialKeepaliveTimes;

  /** @param target what the backend is called in warnings */
  constructor(target: string, times: DialKeepaliveTimes) {
    this.#target = target;
    this.#times = times;
    const { timeMilliseconds } = times;
    if (timeMilliseconds >= LEAST_MILLISECONDS) return;
    process.emitWarning(
      `${target} is asked after ${timeMilliseconds} ms of silence already whether it lives: gRPC servers may take less than ${LEAST_MILLISECONDS} ms for abuse`,
    );
  }

  /** What the next connection goes by. */
  get times(): DialKeepaliveTimes {
    return this.#times;
  }

  /**
   * The backend has ended a connection with "too_many_pings": a client "should log the occurrence at a log level that is
   * enabled by default and double the configure KEEPALIVE_TIME used for new connections" (gRFC A8).
   *
   * @param used what that connection went by: several that are ended together double it once
   */
  onTooManyPings(used: DialKeepaliveTimes): void {
    const timeMilliseconds = Math.min(2 * used.timeMilliseconds, MOST_MILLISECONDS);
    if (timeMilliseconds <= this.#times.timeMilliseconds) return;
    this.#times = { ...this.#times, timeMilliseconds };
    process.emitWarning(
      `${this.#target} says ${TOO_MANY_PINGS}: from now on it is asked after ${timeMilliseconds} ms of silence`,
    );
  }
}
