import { Code } from './status.js';

/** The error codes of RST_STREAM and GOAWAY (RFC 9113 section 7). */
export const ResetCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

// By position: each name stands at the index that is its code.
const RESET_CODE_NAMES = Object.keys(ResetCode);

/** The RFC's name of a reset code, for messages; `error code N` if it has none. */
export function resetCodeName(code: number): string {
  return RESET_CODE_NAMES[code] ?? `error code ${code}`;
}

/**
 * The gRPC status of a stream that the backend reset, by PROTOCOL-HTTP2.md, "Errors". UNKNOWN where the table
 * has no mapping (STREAM_CLOSED: "No mapping as there is no open stream to propagate to"), and for codes that it
 * leaves out.
 */
export function codeFromResetCode(code: number): Code {
  switch (code) {
    // NO_ERROR, too: a stream that was reset before its trailers has no status to be OK with.
    case ResetCode.NO_ERROR:
    case ResetCode.PROTOCOL_ERROR:
    case ResetCode.INTERNAL_ERROR:
    case ResetCode.FLOW_CONTROL_ERROR:
    case ResetCode.SETTINGS_TIMEOUT:
    case ResetCode.FRAME_SIZE_ERROR:
    case ResetCode.COMPRESSION_ERROR:
    case ResetCode.CONNECT_ERROR:
      return Code.INTERNAL;
    case ResetCode.REFUSED_STREAM:
      return Code.UNAVAILABLE;
    case ResetCode.CANCEL:
      return Code.CANCELLED;
    case ResetCode.ENHANCE_YOUR_CALM:
      return Code.RESOURCE_EXHAUSTED;
    case ResetCode.INADEQUATE_SECURITY:
      return Code.PERMISSION_DENIED;
    default:
      return Code.UNKNOWN;
  }
}

/**
 * The gRPC status of a response that has an HTTP `:status` but no `grpc-status`: "to be used only for clients
 * that received a response that did not include grpc-status" (http-grpc-status-mapping.md). 200 is UNKNOWN, too.
 */
export function codeFromHttpStatus(status: number): Code {
  switch (status) {
    case 400:
      return Code.INTERNAL;
    case 401:
      return Code.UNAUTHENTICATED;
    case 403:
      return Code.PERMISSION_DENIED;
    case 404:
      return Code.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return Code.UNAVAILABLE;
    default:
      return Code.UNKNOWN;
  }
}
