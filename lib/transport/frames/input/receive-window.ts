import { CONNECTION_WINDOW } from '../../limits.js';
import { DEFAULT_WINDOW_SIZE } from '../frame.js';
import { hasRoom, stopWaiting, type Waiter, waitForRoom } from '../stream/held-bytes.js';
import type { StreamWriter } from '../stream/sending.js';

const CREDIT_STEP = CONNECTION_WINDOW / 4;

/**
 * The window for what a connection receives. It is credited as soon as data comes in, whether or not it is
 * consumed: else one stream that is held back would use it up and stall all the others. What is held is
 * bounded by the streams' windows, and for the whole process by {@link hasRoom}.
 */
export class ConnectionReceiveWindow implements Waiter {
  private window = DEFAULT_WINDOW_SIZE;
  private uncredited = 0;

  constructor(private readonly writer: StreamWriter) {}

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
    if (this.uncredited >= CREDIT_STEP) this.credit();
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
