import type { SecureClientSessionOptions, SecureServerOptions } from 'node:http2';
import { type DialLimits, type ServerLimits, STREAM_WINDOW, type TransportLimits } from '../limits.js';

/** The options of a session that @types/node does not know yet. */
interface NewerOptions {
  strictSingleValueFields: boolean;
  streamResetBurst?: number;
  streamResetRate?: number;
}

/** nghttp2 compares its worst-case estimate of a field block's compressed size with this. */
const MAX_SEND_BLOCK = 16 * 1024 * 1024;

/** For what nghttp2 counts in 64 bits, and JavaScript in a double. */
const UNLIMITED = Number.MAX_SAFE_INTEGER;

/** What both ends of a session are created with. */
function sessionOptions(limits: TransportLimits) {
  return {
    settings: {
      enablePush: false,
      initialWindowSize: STREAM_WINDOW,
      maxHeaderListSize: limits.maxHeaderListBytes,
    },
    // Else streams are refused once a session holds 10 MB, which a few hundred windows do.
    maxSessionMemory: Number.MAX_SAFE_INTEGER,
    // SETTINGS_MAX_HEADER_LIST_SIZE bounds a list; the default of 128 pairs resets the stream, too.
    maxHeaderListPairs: 2048,
    // A list that is larger is not sent, and its stream fails: what was received must also be sendable.
    maxSendHeaderBlockLength: MAX_SEND_BLOCK,
    // Repeated fields that HTTP calls singletons are metadata to gRPC. From Node 24; see fields.ts for before.
    strictSingleValueFields: false,
    // Else nghttp2 drops a field whose value ends in a space, and a `grpc-message` may. From Node 22.
    strictFieldWhitespaceValidation: false,
  };
}

/** Options of a session that this side opens. */
export function clientSessionOptions(limits: DialLimits): SecureClientSessionOptions {
  const options: SecureClientSessionOptions & NewerOptions = sessionOptions(limits);
  return options;
}

/** Options of the sessions of a server. */
export function serverSessionOptions(limits: ServerLimits): SecureServerOptions {
  const common = sessionOptions(limits);
  const options: SecureServerOptions & NewerOptions = {
    ...common,
    settings: { ...common.settings, maxConcurrentStreams: limits.maxConcurrentStreams },
    // The client's account counts resets, and what amounts to them. From Node 22.10; before, nghttp2 ends a session
    // after 1000 and 33 a second as well.
    streamResetBurst: UNLIMITED,
    streamResetRate: UNLIMITED,
  };
  return options;
}
