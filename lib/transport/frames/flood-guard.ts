import { Bucket } from '../../port/bucket.js';
import { IDLE_FRAMES_PER_USEFUL, type TransportLimits } from '../limits.js';

/** Counts what a connection's peer makes this side do for nothing (RFC 9113 section 10.5). */
export class FloodGuard {
  private readonly settings: Bucket;
  private readonly idleFrames: Bucket;
  /** Idle frames that useful ones have paid for. */
  private paid = 0;

  /** @param onFlood called for each frame beyond the limits, with what there are too many of */
  constructor(
    limits: TransportLimits,
    private readonly onFlood: (what: string) => void,
  ) {
    this.settings = new Bucket(limits.settings);
    this.idleFrames = new Bucket(limits.idleFrames);
  }

  onSettings(): void {
    if (!this.settings.take()) this.onFlood('SETTINGS frames');
  }

  /** A frame that moved something: HEADERS or DATA, either way. */
  onUsefulFrame(): void {
    if (this.paid < 1000) this.paid += IDLE_FRAMES_PER_USEFUL;
  }

  onIdleFrame(): void {
    if (this.paid > 0) this.paid--;
    else if (!this.idleFrames.take()) this.onFlood('frames that move nothing');
  }
}
