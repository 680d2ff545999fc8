import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import { brokenProtocol, NO_SETTINGS, NOT_ALIVE } from '../connection-ends.js';
import { Keepalive } from '../keepalive.js';
import type { TransportLimits } from '../limits.js';

/** What is to be done about a connection: nothing, a PING or SETTINGS, or an end. */
export type Verdict = 'ok' | 'ping' | 'settings' | ConnectionEnd;

/** What is looked at. */
export interface Watched {
  /** Whether anything depends on the peer. */
  readonly isPeerNeeded: boolean;
  /** The peer's SETTINGS have come, for which it has this time. */
  readonly hasSettings: boolean;
  readonly handshakeTimeoutMilliseconds: number;
  /** The peer has begun a frame, or a field block, and owes the rest of it before anything else can follow. */
  readonly isInsideFrame: boolean;
  readonly writer: { readonly blocked: boolean; hasMoved: boolean; readonly isReadingPaused: boolean };
}

const NEVER = -1;

const NO_ACKNOWLEDGEMENT = brokenProtocol(ErrorCode.SETTINGS_TIMEOUT, 'SETTINGS not acknowledged', 'timeout');
const SLOW_FRAME = brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, 'a frame not finished in time', 'timeout');
const STALLED: ConnectionEnd = {
  cause: 'keepalive',
  code: ErrorCode.ENHANCE_YOUR_CALM,
  text: 'the peer takes nothing of what it is sent',
  error: undefined,
  refusal: 'keepalive',
};

/**
 * Finds out whether a connection's peer is still there, looking at it every so often: the hot path only sets flags. A peer that acknowledges neither SETTINGS nor PING must not make calls hang for ever.
 */
export class Liveness {
  private readonly keepalive: Keepalive;
  private readonly startedAt = performance.now();
  private settingsAcknowledged = false;
  private blockedSince = NEVER;
  private slowSince = NEVER;

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

  check(now: number, connection: Watched): Verdict {
    if (!connection.hasSettings) {
      return now - this.startedAt >= connection.handshakeTimeoutMilliseconds ? NO_SETTINGS : 'ok';
    }
    return (
      this.checkOutput(now, connection.writer) ??
      this.checkInput(now, connection) ??
      this.checkPeer(now, connection)
    );
  }

  /** Output that the socket does not take: no PING would get through, nor its answer be waited for. */
  private checkOutput(now: number, writer: Watched['writer']): Verdict | undefined {
    if (!writer.blocked || writer.hasMoved || this.keepalive.heard) {
      // What is taken, if ever so slowly, is taken by somebody who lives.
      if (writer.hasMoved && writer.blocked) this.keepalive.heard = true;
      writer.hasMoved = false;
      this.blockedSince = NEVER;
      return undefined;
    }
    if (this.blockedSince === NEVER) this.blockedSince = now;
    const { timeMilliseconds, timeoutMilliseconds } = this.limits.keepalive;
    return now - this.blockedSince >= timeMilliseconds + timeoutMilliseconds ? STALLED : 'ok';
  }

  private checkInput(now: number, connection: Watched): Verdict | undefined {
    // What is not read is not silence.
    if (connection.writer.isReadingPaused) {
      this.keepalive.heard = true;
      return undefined;
    }
    const { settingsTimeoutMilliseconds, frameTimeoutMilliseconds } = this.limits;
    if (!this.settingsAcknowledged && now - this.startedAt >= settingsTimeoutMilliseconds) {
      return NO_ACKNOWLEDGEMENT;
    }
    if (!connection.isInsideFrame) this.slowSince = NEVER;
    else if (this.slowSince === NEVER) this.slowSince = now;
    else if (now - this.slowSince >= frameTimeoutMilliseconds) return SLOW_FRAME;
    return undefined;
  }

  private checkPeer(now: number, connection: Watched): Verdict {
    const verdict = this.keepalive.check(now, connection.isPeerNeeded);
    if (verdict === 'dead') return NOT_ALIVE;
    return verdict === 'alive' ? 'ok' : verdict;
  }
}
