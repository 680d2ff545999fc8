import { ErrorCode } from '../../port/error-code.js';
import { IDLE_FRAMES_PER_USEFUL, type Rate, type TransportLimits } from '../limits.js';
import { ConnectionError } from './frame.js';

/** A token bucket, filled when it is looked at, so that it costs nothing while nobody misbehaves. */
class Bucket {
  private tokens: number;
  private filledAt: number;

  constructor(private readonly rate: Rate) {
    this.tokens = rate.burst;
    this.filledAt = performance.now();
  }

  take(what: string): void {
    if (--this.tokens >= 0) return;
    const now = performance.now();
    const refill = ((now - this.filledAt) * this.rate.perSecond) / 1000;
    this.filledAt = now;
    this.tokens = Math.min(this.rate.burst, this.tokens + refill);
    if (this.tokens < 0) throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, `too many ${what}`);
  }
}

/** Counts what a connection's peer makes this side do for nothing (RFC 9113 section 10.5). */
export class FloodGuard {
  private readonly resets: Bucket;
  private readonly streamErrors: Bucket;
  private readonly settings: Bucket;
  private readonly idleFrames: Bucket;
  /** Idle frames that useful ones have paid for. */
  private paid = 0;

  constructor(limits: TransportLimits) {
    this.resets = new Bucket(limits.resets);
    this.streamErrors = new Bucket(limits.streamErrors);
    this.settings = new Bucket(limits.settings);
    this.idleFrames = new Bucket(limits.idleFrames);
  }

  /** The peer has reset a stream that was open. */
  onReset(): void {
    this.resets.take('resets');
  }

  /** The peer has made this side reset a stream. */
  onStreamError(): void {
    this.streamErrors.take('stream errors');
  }

  onSettings(): void {
    this.settings.take('SETTINGS frames');
  }

  /** A frame that moved something: HEADERS or DATA, either way. */
  onUsefulFrame(): void {
    if (this.paid < 1000) this.paid += IDLE_FRAMES_PER_USEFUL;
  }

  onIdleFrame(): void {
    if (this.paid > 0) this.paid--;
    else this.idleFrames.take('frames that move nothing');
  }
}
