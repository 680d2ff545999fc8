import type { Rate } from '../port/rate.js';

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

/** When a silent peer is asked, by PING or SETTINGS, whether it lives; in milliseconds. */
export interface KeepaliveTimes {
  /** The silence after which it is asked. */
  readonly timeMilliseconds: number;
  /** How long it has to answer. */
  readonly timeoutMilliseconds: number;
}

/** When a silent backend is asked. */
export interface DialKeepaliveTimes extends KeepaliveTimes {
  /** Whether it is asked also while no call runs. */
  readonly withoutCalls: boolean;
}

/** The PINGs that a client may send (gRFC A8, Server Enforcement). */
export interface PermittedKeepalive {
  /** The time between two of them (PERMIT_KEEPALIVE_TIME), in milliseconds; 0: any. */
  readonly timeMilliseconds: number;
  /** Whether that holds also while no call runs; if not, it is two hours then (PERMIT_KEEPALIVE_WITHOUT_CALLS). */
  readonly withoutCalls: boolean;
}

/**
 * What a peer may cost, whichever side it is. Times are in milliseconds, sizes in bytes; `Infinity` turns a time or a
 * count off. A peer that exceeds a limit is told ENHANCE_YOUR_CALM: "the endpoint detected that its peer is exhibiting
 * a behavior that might be generating excessive load" (RFC 9113 section 7).
 */
export interface TransportLimits {
  /**
   * The largest header list, counted as SETTINGS_MAX_HEADER_LIST_SIZE does; default 64 KiB, four times what gRPC's
   * C-core takes. A larger one ends its stream; a field block of more than four times as many octets ends the connection.
   */
  readonly maxHeaderListBytes: number;
  /**
   * CONTINUATION frames behind one HEADERS; default 64, enough for the largest block in the usual 16 KiB.
   * node:http2 has nghttp2's limit of 8 instead.
   */
  readonly maxContinuations: number;
  /**
   * SETTINGS frames: each is answered, and may change every stream's window. Default 100, and 10 a second.
   * node:http2 has nghttp2's limit of outgoing acknowledgements instead.
   */
  readonly settings: Rate;
  /**
   * Frames that move nothing: PING, PRIORITY, empty DATA, WINDOW_UPDATE, frames of unknown type. Default 10 000, and
   * 2000 a second. Every frame that does move something allows 4 more, since gRPC peers
   * send a PING with every turn of a large transfer to estimate the bandwidth, and curl a WINDOW_UPDATE with every
   * request. node:http2 has nghttp2's limits instead.
   */
  readonly idleFrames: Rate;
  /** From our SETTINGS to its acknowledgement; default 10 s, as for what follows. The engine only. */
  readonly settingsTimeoutMilliseconds: number;
  /** From the first octet of a frame, or of a field block in several, to its last; default 10 s. DATA is exempt. */
  readonly frameTimeoutMilliseconds: number;
  /**
   * How long a stream may have DATA to send and move none, because its peer gives no window or reads nothing; default
   * 5 minutes, far above what a peer needs that is slow but alive.
   */
  readonly stallTimeoutMilliseconds: number;
  /**
   * When a silent peer is asked whether it lives. Default for clients: after 60 s, with 20 s for the answer; for backends see
   * {@link DialLimits.keepalive}.
   */
  readonly keepalive: KeepaliveTimes;
  /**
   * After this long without streams the connection is closed. Default for clients: never (gRFC A9's MAX_CONNECTION_IDLE);
   * for backends: 30 minutes (gRPC's GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS).
   */
  readonly idleTimeoutMilliseconds: number;
}

/** What clients may cost a server. */
export interface ServerLimits extends TransportLimits {
  /**
   * SETTINGS_MAX_CONCURRENT_STREAMS of each connection; default 2^31-1. C-core clients open streams before they have
   * seen the setting, and go on after it, so that a low one makes honest calls fail.
   */
  readonly maxConcurrentStreams: number;
  /** Connections at a time; further ones are closed as they come. Default: as many as the system allows. */
  readonly maxConnections: number;
  /**
   * What the process may hold for calls, in bytes, before the largest holders are ended: of the client that holds most,
   * the calls that hold most. Default 256 MiB, a thousand full receive windows.
   */
  readonly maxHeldBytes: number;
  /** What may be held for the calls of one connection; default 64 MiB: no client can press on others by itself. */
  readonly maxHeldBytesPerConnection: number;
  /**
   * Calls that the client lets go to waste: that it resets, spoils by malformed messages or frames, or gives less than
   * a millisecond. Each costs a backend a stream that is reset. Default 800, and 30 a second: less than nghttp2's 1000
   * and 33, by which common servers end the connection. A call that ends well gives one back: a client that hedges
   * cancels fewer than it completes. Its connection is closed beyond.
   */
  readonly abandonedCalls: Rate;
  /** From accepting a connection to its preface and first SETTINGS, TLS included; default 10 s. */
  readonly handshakeTimeoutMilliseconds: number;
  /**
   * How often a client may send PINGs while it is sent no HEADERS or DATA. At the third PING that comes too soon its
   * connection is closed with its calls, by GOAWAY ENHANCE_YOUR_CALM, `too_many_pings`, upon which gRPC clients send
   * fewer. Default: as often as {@link TransportLimits.idleFrames} allows, since clients that keep their connection
   * alive every 10 s, say, may not know that there is a proxy. gRPC servers' own is 5 minutes, and not without calls.
   * Sessions of a server that is attached are its owner's.
   */
  readonly permitKeepalive: PermittedKeepalive;
  /** How old a connection may get before it is told to go (GOAWAY), ±10 %; default: any age (gRFC A9). */
  readonly maxAgeMilliseconds: number;
  /** How long its calls may go on after that; default: as long as they like (gRFC A9). */
  readonly maxAgeGraceMilliseconds: number;
}

/** What a backend may cost, and what may be asked of it. */
export interface DialLimits extends TransportLimits {
  /**
   * When a silent backend is asked whether it lives. Default: after 10 s, with 10 s for the answer, while calls run: one
   * that stands still is found within their sum. When a backend ends a connection with GOAWAY, `too_many_pings`, the time
   * is doubled for further ones (gRFC A8). Below 10 s it warns.
   */
  readonly keepalive: DialKeepaliveTimes;
  /**
   * From the start of a connection attempt to the peer's SETTINGS, TLS included; default 20 s ("MIN_CONNECT_TIMEOUT",
   * gRPC's connection-backoff.md).
   */
  readonly connectTimeoutMilliseconds: number;
  /**
   * Connections to each address at a time, those that are being made or go away included; calls beyond wait for room. Default 100:
   * enough for ten thousand calls at the usual SETTINGS_MAX_CONCURRENT_STREAMS of 100.
   */
  readonly maxConnections: number;
  /**
   * Streams at a time on one connection, besides what the backend allows; default 1000, nghttp2's burst of resets: the
   * calls of a client that goes can be cancelled together, without the backend taking it for an attack.
   */
  readonly maxStreamsPerConnection: number;
  /** Calls that may wait for a connection; RESOURCE_EXHAUSTED beyond. Default 10 000. */
  readonly maxWaitingCalls: number;
  /** Calls that run or wait at a time; further ones are RESOURCE_EXHAUSTED at once. Default: as many as come. */
  readonly maxConcurrentCalls: number;
  /**
   * From one resolution of the backend's name to the next, at least; default 5 s. It is resolved again when a connection
   * is lost or cannot be made, when its time to live is over, and every 30 s.
   */
  readonly resolutionIntervalMilliseconds: number;
  /**
   * RST_STREAM frames sent on one connection; default 500, and 30 a second, less than nghttp2's 1000 and 33. When a
   * fifth is left, the connection takes no new calls; with none left, streams are abandoned without a word, and the
   * connection closes as soon as nobody else needs it.
   */
  readonly resets: Rate;
}

/** Limits as an application gives them: those that it leaves out are as they are by default, also inside of others. */
export type GivenLimits<T> = {
  readonly [Name in keyof T]?: (T[Name] extends object ? Partial<T[Name]> : T[Name]) | undefined;
};

/** See {@link TransportLimits.idleFrames}. */
export const IDLE_FRAMES_PER_USEFUL = 4;

const TRANSPORT_LIMITS = {
  maxHeaderListBytes: 65536,
  maxContinuations: 64,
  settings: { burst: 100, perSecond: 10 },
  idleFrames: { burst: 10000, perSecond: 2000 },
  settingsTimeoutMilliseconds: 10_000,
  frameTimeoutMilliseconds: 10_000,
  stallTimeoutMilliseconds: 300_000,
} as const;

/** See {@link ServerLimits}. */
export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  ...TRANSPORT_LIMITS,
  maxConcurrentStreams: 2 ** 31 - 1,
  maxConnections: Infinity,
  maxHeldBytes: 256 * 1024 * 1024,
  maxHeldBytesPerConnection: 64 * 1024 * 1024,
  abandonedCalls: { burst: 800, perSecond: 30 },
  handshakeTimeoutMilliseconds: 10_000,
  // Clients may be silent for long, and phones have to wake up for each PING; but they must be there. "Keepalive
  // timeout … 20 seconds" (gRFC A8).
  keepalive: { timeMilliseconds: 60_000, timeoutMilliseconds: 20_000 },
  permitKeepalive: { timeMilliseconds: 0, withoutCalls: false },
  idleTimeoutMilliseconds: Infinity,
  maxAgeMilliseconds: Infinity,
  maxAgeGraceMilliseconds: Infinity,
};

/** See {@link DialLimits}. */
export const DEFAULT_DIAL_LIMITS: DialLimits = {
  ...TRANSPORT_LIMITS,
  connectTimeoutMilliseconds: 20_000,
  maxConnections: 100,
  maxStreamsPerConnection: 1000,
  maxWaitingCalls: 10_000,
  maxConcurrentCalls: Infinity,
  resolutionIntervalMilliseconds: 5_000,
  resets: { burst: 500, perSecond: 30 },
  // "client keepalive time ≥ 10 s" is what gRFC A8 allows at least; calls wait for what it finds.
  keepalive: { timeMilliseconds: 10_000, timeoutMilliseconds: 10_000, withoutCalls: false },
  idleTimeoutMilliseconds: 30 * 60_000,
};
