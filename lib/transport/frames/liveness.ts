import type { FramesLimits } from './limits.js';

/** What the watchdog finds of a connection. */
export type Verdict = 'ok' | 'ping' | 'settings timeout' | 'no answer' | 'too slow' | 'idle';

/** What the watchdog looks at. */
export interface Watched {
  readonly streams: { readonly size: number };
  readonly settingsReceived: boolean;
  readonly isInsideFieldBlock: boolean;
  readonly isReadingPaused: boolean;
  readonly writer: { readonly backlog: number };
}

/** How long a peer that reads nothing may make this side stop reading. */
const MAX_STALL_MILLISECONDS = 60_000;

const NEVER = -1;

/**
 * Finds out whether a connection's peer is still there, looking at it every so often: the hot path only sets
 * flags. A peer that acknowledges neither SETTINGS nor PING must not make calls hang for ever.
 */
export class Liveness {
  /** Something has been received since the last look. */
  heard = false;
  /** A stream's frame has been received since the last PING: what gRPC servers want to see between two. */
  active = true;
  private heardAt: number;
  private readonly startedAt: number;
  private settingsAcknowledged = false;
  private pingedAt = NEVER;
  private pingUnanswered = false;
  private slowSince = NEVER;
  private idleSince = NEVER;
  private backlog = 0;

  constructor(private readonly limits: FramesLimits) {
    this.startedAt = performance.now();
    this.heardAt = this.startedAt;
  }

  onSettingsAcknowledged(): void {
    this.settingsAcknowledged = true;
  }

  onPingAcknowledged(): void {
    this.pingUnanswered = false;
  }

  check(now: number, connection: Watched): Verdict {
    const limits = this.limits;
    if (!connection.settingsReceived) {
      return now - this.startedAt >= limits.handshakeTimeoutMilliseconds ? 'too slow' : 'ok';
    }
    if (
      !this.settingsAcknowledged &&
      !connection.isReadingPaused &&
      now - this.startedAt >= limits.settingsTimeoutMilliseconds
    ) {
      return 'settings timeout';
    }
    if (this.isTooSlow(now, connection)) return 'too slow';
    if (connection.streams.size === 0) return this.checkIdle(now);
    this.idleSince = NEVER;
    return this.probe(now, connection);
  }

  /** A field block that never ends, or a peer that takes nothing of what it is sent. */
  private isTooSlow(now: number, connection: Watched): boolean {
    const backlog = connection.writer.backlog;
    const stalled = connection.isReadingPaused && backlog >= this.backlog;
    this.backlog = backlog;
    if (!stalled && !connection.isInsideFieldBlock) {
      this.slowSince = NEVER;
      return false;
    }
    if (this.slowSince === NEVER) this.slowSince = now;
    const most = stalled ? MAX_STALL_MILLISECONDS : this.limits.handshakeTimeoutMilliseconds;
    return now - this.slowSince >= most;
  }

  private checkIdle(now: number): Verdict {
    // Whatever was asked, no stream depends on the answer.
    this.pingUnanswered = false;
    this.heardAt = now;
    if (this.idleSince === NEVER) this.idleSince = now;
    const most = this.limits.idleTimeoutMilliseconds;
    return most > 0 && now - this.idleSince >= most ? 'idle' : 'ok';
  }

  private probe(now: number, connection: Watched): Verdict {
    if (this.heard || connection.isReadingPaused) {
      this.heard = false;
      this.heardAt = now;
      this.pingUnanswered = false;
      return 'ok';
    }
    if (this.pingUnanswered) {
      return now - this.pingedAt >= this.limits.pingTimeoutMilliseconds ? 'no answer' : 'ok';
    }
    if (now - this.heardAt < this.limits.pingAfterMilliseconds) return 'ok';
    if (!this.active && now - this.pingedAt < this.limits.pingIntervalMilliseconds) return 'ok';
    this.pingedAt = now;
    this.pingUnanswered = true;
    this.active = false;
    return 'ping';
  }
}
