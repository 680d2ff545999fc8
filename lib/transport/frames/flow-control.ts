import { DEFAULT_WINDOW_SIZE } from './frame.js';
import type { FrameWriter } from './frame-writer.js';
import { hasRoom, stopWaiting, type Waiter, waitForRoom } from './held-bytes.js';

/**
 * Windows that this side advertises (RFC 9113 section 5.2). The default of 64 KiB throttles large messages.
 * A stream's window bounds what a paused receiver makes this side hold.
 */
export const STREAM_WINDOW = 256 * 1024;

/** A stream's window is credited in steps of this size. */
export const STREAM_CREDIT_STEP = STREAM_WINDOW / 4;

/** The connection's window bounds only what is on its way, since it is credited on receipt. */
export const CONNECTION_WINDOW = 2 * 1024 * 1024;

const CONNECTION_CREDIT_STEP = CONNECTION_WINDOW / 4;

/**
 * The window for what a connection receives. It is credited as soon as data comes in, whether or not it is
 * consumed: else one stream that is held back would use it up and stall all the others. What is held is
 * bounded by the streams' windows, and for the whole process by {@link hasRoom}.
 */
export class ConnectionReceiveWindow implements Waiter {
  private window = DEFAULT_WINDOW_SIZE;
  private uncredited = 0;

  constructor(private readonly writer: FrameWriter) {}

  /** Raises the window from the 65535 octets that it begins with (section 6.9.2). */
  open(): void {
    this.uncredited = CONNECTION_WINDOW - DEFAULT_WINDOW_SIZE;
    this.credit();
  }

  /** Takes a DATA frame off the window; false if the peer has ignored it. */
  receive(length: number): boolean {
    this.window -= length;
    if (this.window < 0) return false;
    this.uncredited += length;
    if (this.uncredited >= CONNECTION_CREDIT_STEP) this.credit();
    return true;
  }

  onRoom(): void {
    this.credit();
  }

  close(): void {
    stopWaiting(this);
  }

  private credit(): void {
    if (!hasRoom()) {
      waitForRoom(this);
      return;
    }
    this.writer.writeWindowUpdate(0, this.uncredited);
    this.window += this.uncredited;
    this.uncredited = 0;
  }
}
