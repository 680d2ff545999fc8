/** Receive window of one stream, in bytes: what a paused stream can hold. 64 KiB, the default, throttles. */
export const STREAM_WINDOW = 256 * 1024;

/**
 * Receive window of a connection, in bytes. nghttp2 credits it as data arrives, not as it is read, so that a
 * paused stream never stalls its neighbours.
 */
export const CONNECTION_WINDOW = 4 * 1024 * 1024;

/** What both ends of node:http2 are created with. */
export const SESSION_OPTIONS = {
  settings: {
    enablePush: false,
    initialWindowSize: STREAM_WINDOW,
    // C-core clients don't count, and would be refused (BEHAVIOUR section 4).
    maxConcurrentStreams: 2 ** 31 - 1,
  },
  // Else streams are refused once a session holds 10 MB, which a few hundred windows do.
  maxSessionMemory: Number.MAX_SAFE_INTEGER,
  // SETTINGS_MAX_HEADER_LIST_SIZE (64 KiB here) bounds a list; the default of 128 pairs resets the connection.
  maxHeaderListPairs: 2048,
  // nghttp2 compares its worst-case estimate of the compressed size with this: a list that was received must
  // also be sendable.
  maxSendHeaderBlockLength: 1024 * 1024,
  // Repeated fields that HTTP calls singletons are metadata to gRPC. From Node 24; see `sendAsList` for before.
  strictSingleValueFields: false,
} as const;
