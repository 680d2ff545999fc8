/** How many streams that this side has reset are remembered, and how many that ended otherwise. */
const MAX_RESET = 10_000;
const MAX_ENDED = 64;

/**
 * What is still known of streams that are closed, to judge frames that come for them (RFC 9113 section 5.1,
 * "closed").
 */
export class ClosedStreams {
  private reset: Set<number> | undefined = undefined;
  private readonly ended = new Int32Array(MAX_ENDED);
  private next = 0;

  /**
   * This side has sent RST_STREAM, or GOAWAY with a lower stream: frames that were already on their way are
   * to be expected, and ignored. Many are remembered, since a proxy that loses a client resets all of its
   * streams at once.
   */
  addReset(streamId: number): void {
    this.reset ??= new Set();
    this.reset.add(streamId);
    if (this.reset.size > MAX_RESET) {
      for (const oldest of this.reset) {
        this.reset.delete(oldest);
        break;
      }
    }
  }

  /** Both sides are done with the stream, or the peer has reset it. */
  addEnded(streamId: number): void {
    this.ended[this.next] = streamId;
    this.next = (this.next + 1) % MAX_ENDED;
  }

  wasReset(streamId: number): boolean {
    return this.reset?.has(streamId) ?? false;
  }

  /** Whether the stream was really used, and not skipped: known of the last few only. */
  hasEnded(streamId: number): boolean {
    return this.ended.includes(streamId);
  }
}
