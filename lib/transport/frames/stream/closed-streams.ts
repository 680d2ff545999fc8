/** How many streams that ended otherwise than by this side's reset are remembered. */
const MAX_ENDED = 64;

const MIN_SLOTS = 64;
const MAX_SLOTS = 16384;

/**
 * What is still known of streams that are closed, to judge frames that come for them (RFC 9113 section 5.1,
 * "closed").
 */
export class ClosedStreams {
  /**
   * Streams that were reset, each in the slot of its number: identifiers go up one by one on either side, so that
   * a slot is needed again only when as many streams as there are slots have come and gone.
   */
  private reset: Int32Array | undefined = undefined;
  private readonly ended = new Int32Array(MAX_ENDED);
  private next = 0;

  /**
   * This side has sent RST_STREAM, or GOAWAY with a lower stream: frames that were already on their way are
   * to be expected, and ignored. Many are remembered, since a proxy that loses a client resets all of its
   * streams at once.
   */
  addReset(streamId: number): void {
    let slots = this.reset ?? new Int32Array(MIN_SLOTS);
    while (slots.length < MAX_SLOTS && slots[slotOf(streamId, slots)] !== 0) slots = grown(slots);
    slots[slotOf(streamId, slots)] = streamId;
    this.reset = slots;
  }

  /** Both sides are done with the stream, or the peer has reset it. */
  addEnded(streamId: number): void {
    this.ended[this.next] = streamId;
    this.next = (this.next + 1) % MAX_ENDED;
  }

  wasReset(streamId: number): boolean {
    return this.reset !== undefined && this.reset[slotOf(streamId, this.reset)] === streamId;
  }

  /** Whether the stream was really used, and not skipped: known of the last few only. */
  hasEnded(streamId: number): boolean {
    return this.ended.includes(streamId);
  }
}

function slotOf(streamId: number, slots: Int32Array): number {
  return (streamId >>> 1) & (slots.length - 1);
}

/** What had slots of their own keep them when there are more. */
function grown(slots: Int32Array): Int32Array {
  const more = new Int32Array(2 * slots.length);
  for (const streamId of slots) {
    if (streamId !== 0) more[slotOf(streamId, more)] = streamId;
  }
  return more;
}
