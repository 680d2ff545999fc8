/** Whether a client's connection is in use, by looking at it every so often. */
export class ConnectionUse {
  readonly #idleTimeout: number;
  #opened = 0;
  /** Since when nothing has run; undefined if something did at the last look. */
  #idleSince: number | undefined;

  /** @param idleTimeout in milliseconds */
  constructor(idleTimeout: number) {
    this.#idleTimeout = idleTimeout;
  }

  /**
   * Whether it has carried no call for so long: "since the most recent time the number of outstanding RPCs became zero or
   * the connection establishment" (gRFC A9).
   *
   * @param opened a number that grows with each stream: those between two looks count as well
   */
  isIdleAt(now: number, running: number, opened: number): boolean {
    if (running > 0 || opened !== this.#opened) this.#idleSince = undefined;
    else if (this.#idleSince === undefined) this.#idleSince = now;
    this.#opened = opened;
    return this.#idleSince !== undefined && now - this.#idleSince >= this.#idleTimeout;
  }
}
