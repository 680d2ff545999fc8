/** How often something may happen: up to `burst` at once, and `perSecond` in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * What a peer may cost. A peer that exceeds a limit is told ENHANCE_YOUR_CALM: "the endpoint detected that
 * its peer is exhibiting a behavior that might be generating excessive load" (RFC 9113 section 7).
 */
export interface FramesLimits {
  /**
   * The largest header list, counted as SETTINGS_MAX_HEADER_LIST_SIZE does; default 64 KiB. A larger one
   * ends its stream; a field block of more than four times as many octets ends the connection.
   */
  readonly maxHeaderListBytes: number;
  /** CONTINUATION frames behind one HEADERS; default 64, enough for the largest block in the usual 16 KiB. */
  readonly maxContinuations: number;
  /**
   * Streams that the peer resets. Each costs this side a call that it has begun. nghttp2 allows 1000 and
   * then 33 a second, and kills honest clients that hedge or watch (they cancel hundreds of calls a second,
   * day and night); at some 20 µs a call, 500 a second are one percent of a core, which is no attack.
   */
  readonly resets: Rate;
  /** Stream errors that the peer provokes: an honest one makes next to none. */
  readonly streamErrors: Rate;
  /** SETTINGS frames: each is answered, and may change every stream's window. */
  readonly settings: Rate;
  /**
   * Frames that move nothing: PING, PRIORITY, empty DATA, WINDOW_UPDATE, frames of unknown type. Every frame
   * that does move something allows {@link IDLE_FRAMES_PER_USEFUL} more, since gRPC peers send a PING with
   * every turn of a large transfer to estimate the bandwidth, and curl a WINDOW_UPDATE with every request.
   */
  readonly idleFrames: Rate;
  /** From accepting a connection to its preface and first SETTINGS, TLS included; default 10 s. */
  readonly handshakeTimeoutMilliseconds: number;
  /** From our SETTINGS to its acknowledgement; default 10 s. */
  readonly settingsTimeoutMilliseconds: number;
  /** Silence on a connection with open streams, after which it is probed by PING; default 10 s. */
  readonly pingAfterMilliseconds: number;
  /** From a PING to its acknowledgement; default 10 s. */
  readonly pingTimeoutMilliseconds: number;
  /**
   * Between two probes without a stream's frame in between; default 5 minutes, since gRPC servers count a
   * PING that comes earlier as a strike ("too_many_pings").
   */
  readonly pingIntervalMilliseconds: number;
  /** After this long without streams a server closes the connection; default 0, never. */
  readonly idleTimeoutMilliseconds: number;
}

/** See {@link FramesLimits}. */
export const DEFAULT_LIMITS: FramesLimits = {
  maxHeaderListBytes: 65536,
  maxContinuations: 64,
  resets: { burst: 2000, perSecond: 500 },
  streamErrors: { burst: 500, perSecond: 50 },
  settings: { burst: 100, perSecond: 10 },
  idleFrames: { burst: 10000, perSecond: 2000 },
  handshakeTimeoutMilliseconds: 10_000,
  settingsTimeoutMilliseconds: 10_000,
  pingAfterMilliseconds: 10_000,
  pingTimeoutMilliseconds: 10_000,
  pingIntervalMilliseconds: 300_000,
  idleTimeoutMilliseconds: 0,
};

/** See {@link FramesLimits.idleFrames}. */
export const IDLE_FRAMES_PER_USEFUL = 4;
