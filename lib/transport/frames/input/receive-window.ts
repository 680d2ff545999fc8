import { CONNECTION_WINDOW } from '../../limits.js';
import { DEFAULT_WINDOW_SIZE } from '../frame.js';
import type { StreamWriter } from '../stream/sending.js';

const CREDIT_STEP = CONNECTION_WINDOW / 4;

/**
 * The window for what a connection receives. It is credited as soon as data comes in, whether or not it is
 * consumed: else one stream that is held back would use it up and stall all the others. What is held is
 * bounded by the streams' windows, and by what the account of each client may hold. A peer cannot exceed it: the largest
 * frame is a small part of what is left when credit is given.
 */
export class ConnectionReceiveWindow {
  private uncredited = 0;

  constructor(private readonly writer: StreamWriter) {}

  /** Raises the window from the 65535 octets that it begins with (section 6.9.2). */
  open(): void {
    this.uncredited = CONNECTION_WINDOW - DEFAULT_WINDOW_SIZE;
    this.credit();
  }

  /** Takes a DATA frame off the window. */
  receive(length: number): void {
    this.uncredited += length;
    if (this.uncredited >= CREDIT_STEP) this.credit();
  }

  private credit(): void {
    this.writer.writeWindowUpdate(0, this.uncredited);
    this.uncredited = 0;
  }
}
