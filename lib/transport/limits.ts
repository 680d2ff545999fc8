/**
 * The receive window of a stream, in bytes: what a paused receiver makes this side hold. The default of 64 KiB
 * (RFC 9113 section 6.5.2) throttles large messages.
 */
export const STREAM_WINDOW = 256 * 1024;

/**
 * The receive window of a connection, in bytes. It is credited as data arrives, not as it is consumed (by nghttp2,
 * too), so that a paused stream never stalls its neighbours: it bounds only what is on its way.
 */
export const CONNECTION_WINDOW = 2 * 1024 * 1024;

/** How often something may happen: up to `burst` at once, and `perSecond` in the long run. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

/** When a silent peer is asked by PING whether it lives, in milliseconds. */
export interface KeepaliveTimes {
  /** The silence after which it is asked, while it is needed; default 10 s. */
  readonly timeMilliseconds: number;
  /** How long it has to answer; default 10 s. */
  readonly timeoutMilliseconds: number;
  /**
   * Between two PINGs without a stream's frame in between; default 5 minutes. Servers on C-core count a PING that
   * comes earlier as a strike ("too_many_pings"): GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS is
   * "300000(5 minutes)" (gRPC's doc/keepalive.md).
   */
  readonly silentIntervalMilliseconds: number;
}

/**
 * What a peer may cost. A peer that exceeds a limit is told ENHANCE_YOUR_CALM: "the endpoint detected that
 * its peer is exhibiting a behavior that might be generating excessive load" (RFC 9113 section 7).
 */
export interface TransportLimits {
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
  /** When a silent peer is asked whether it lives. */
  readonly keepalive: KeepaliveTimes;
  /**
   * A server's SETTINGS_MAX_CONCURRENT_STREAMS; default 2^31-1. C-core clients open streams before they have seen
   * the setting, and go on after it, so that a low one makes honest calls fail.
   */
  readonly maxConcurrentStreams: number;
  /** After this long without streams a server closes the connection; default 0, never. */
  readonly idleTimeoutMilliseconds: number;
}

/** See {@link TransportLimits}. */
export const DEFAULT_LIMITS: TransportLimits = {
  maxHeaderListBytes: 65536,
  maxContinuations: 64,
  resets: { burst: 2000, perSecond: 500 },
  streamErrors: { burst: 500, perSecond: 50 },
  settings: { burst: 100, perSecond: 10 },
  idleFrames: { burst: 10000, perSecond: 2000 },
  handshakeTimeoutMilliseconds: 10_000,
  settingsTimeoutMilliseconds: 10_000,
  keepalive: { timeMilliseconds: 10_000, timeoutMilliseconds: 10_000, silentIntervalMilliseconds: 300_000 },
  maxConcurrentStreams: 2 ** 31 - 1,
  idleTimeoutMilliseconds: 0,
};

/** See {@link TransportLimits.idleFrames}. */
export const IDLE_FRAMES_PER_USEFUL = 4;
