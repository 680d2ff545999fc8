import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import { brokenProtocol, NOT_ALIVE } from '../connection-ends.js';
import { Keepalive } from '../keepalive.js';
import type { TransportLimits } from '../limits.js';

/** What is to be done about a connection: nothing, a PING, a close as it is not used, or an end. */
export type Verdict = 'ok' | 'ping' | 'idle' | ConnectionEnd;

/** What is looked at. */
export interface Watched {
  readonly streams: { readonly size: number };
  /** The peer's SETTINGS have come. */
  readonly hasSettings: boolean;
  /** The peer has begun a field block, and owes the rest of it before anything else can follow. */
  readonly isInsideFieldBlock: boolean;
  readonly writer: { readonly backlog: number; readonly isReadingPaused: boolean };
}

/** How long a peer that reads nothing may make this side stop reading. */
const MAX_STALL_MILLISECONDS = 60_000;

const NEVER = -1;

const NO_SETTINGS = brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, 'no SETTINGS in time');
const NO_ACKNOWLEDGEMENT = brokenProtocol(ErrorCode.SETTINGS_TIMEOUT, 'SETTINGS not acknowledged');
const SLOW_FIELD_BLOCK = brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, 'a field block not finished in time');
const STALLED: ConnectionEnd = {
  cause: 'keepalive',
  code: ErrorCode.ENHANCE_YOUR_CALM,
  text: 'the peer sends, but takes nothing of what it is sent',
  error: undefined,
};

/**
 * Finds out whether a connection's peer is still there, looking at it every so often: the hot path only sets
 * flags. A peer that acknowledges neither SETTINGS nor PING must not make calls hang for ever.
 */
export class Liveness {
  private readonly keepalive: Keepalive;
  private readonly startedAt = performance.now();
  private settingsAcknowledged = false;
  private slowSince = NEVER;
  private idleSince = NEVER;
  private backlog = 0;

  constructor(private readonly limits: TransportLimits) {
    this.keepalive = new Keepalive(limits.keepalive);
  }

  /** Something has been received. */
  onInput(): void {
    this.keepalive.heard = true;
  }

  /** A stream's HEADERS or DATA have been received. */
  onStreamFrame(): void {
    this.keepalive.active = true;
  }

  onSettingsAcknowledged(): void {
    this.settingsAcknowledged = true;
  }

  onPingAcknowledged(): void {
    this.keepalive.onAnswer();
  }

  check(now: number, connection: Watched): Verdict {
    const { limits } = this;
    if (!connection.hasSettings) {
      return now - this.startedAt >= limits.handshakeTimeoutMilliseconds ? NO_SETTINGS : 'ok';
    }
    const { isReadingPaused } = connection.writer;
    // What is not read is not silence.
    if (isReadingPaused) this.keepalive.heard = true;
    else if (this.hasSettingsTimedOut(now)) return NO_ACKNOWLEDGEMENT;
    const slow = this.checkPace(now, connection);
    if (slow !== 'ok') return slow;
    const isUsed = connection.streams.size > 0;
    const verdict = this.keepalive.check(now, isUsed);
    if (verdict === 'dead') return NOT_ALIVE;
    if (verdict === 'ping') return 'ping';
    if (!isUsed) return this.checkIdle(now);
    this.idleSince = NEVER;
    return 'ok';
  }

  private hasSettingsTimedOut(now: number): boolean {
    return !this.settingsAcknowledged && now - this.startedAt >= this.limits.settingsTimeoutMilliseconds;
  }

  /** A field block that never ends, or a peer that takes nothing of what it is sent. */
  private checkPace(now: number, connection: Watched): Verdict {
    const { backlog, isReadingPaused } = connection.writer;
    const isStalled = isReadingPaused && backlog >= this.backlog;
    this.backlog = backlog;
    if (!isStalled && !connection.isInsideFieldBlock) {
      this.slowSince = NEVER;
      return 'ok';
    }
    if (this.slowSince === NEVER) this.slowSince = now;
    const most = isStalled ? MAX_STALL_MILLISECONDS : this.limits.handshakeTimeoutMilliseconds;
    if (now - this.slowSince < most) return 'ok';
    return isStalled ? STALLED : SLOW_FIELD_BLOCK;
  }

  private checkIdle(now: number): Verdict {
    if (this.idleSince === NEVER) this.idleSince = now;
    const most = this.limits.idleTimeoutMilliseconds;
    return most > 0 && now - this.idleSince >= most ? 'idle' : 'ok';
  }
}
