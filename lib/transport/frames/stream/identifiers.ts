import { MAX_31_BITS } from '../frame.js';

/** A connection's stream identifiers (RFC 9113 section 5.1.1): which have been used, by either side. */
export class Identifiers {
  /** The highest stream that the peer has opened. */
  lastOfPeer = 0;
  /** The highest that the peer may open: what this side's GOAWAY has named, or none yet. */
  lastAccepted = MAX_31_BITS;

  /** @param next the first that this side opens: odd for a client, even for a server */
  constructor(private next: number) {}

  /** Whether this side has one left. */
  get hasNext(): boolean {
    return this.next <= MAX_31_BITS;
  }

  /** The identifier of a stream that this side opens. */
  take(): number {
    const id = this.next;
    this.next += 2;
    return id;
  }

  /** Whether it is one of those that this side gives. */
  isOwn(id: number): boolean {
    return (id & 1) === (this.next & 1);
  }

  /** Whether no stream with this identifier was ever opened (section 5.1, "idle"). */
  isIdle(id: number): boolean {
    if (this.isOwn(id)) return id >= this.next;
    // Streams above the last one of a GOAWAY may have been opened, and were ignored.
    return id > this.lastOfPeer && id <= this.lastAccepted;
  }
}
