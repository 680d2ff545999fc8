import { ErrorCode } from '../port/error-code.js';
import { Code } from './status.js';

/**
 * The gRPC status of a stream that the backend reset, by PROTOCOL-HTTP2.md, "Errors". UNKNOWN where the table
 * has no mapping (STREAM_CLOSED: "No mapping as there is no open stream to propagate to"), and for codes that it
 * leaves out.
 */
export function codeFromErrorCode(code: number): Code {
  switch (code) {
    // NO_ERROR, too: a stream that was reset before its trailers has no status to be OK with.
    case ErrorCode.NO_ERROR:
    case ErrorCode.PROTOCOL_ERROR:
    case ErrorCode.INTERNAL_ERROR:
    case ErrorCode.FLOW_CONTROL_ERROR:
    case ErrorCode.SETTINGS_TIMEOUT:
    case ErrorCode.FRAME_SIZE_ERROR:
    case ErrorCode.COMPRESSION_ERROR:
    case ErrorCode.CONNECT_ERROR:
      return Code.INTERNAL;
    case ErrorCode.REFUSED_STREAM:
      return Code.UNAVAILABLE;
    case ErrorCode.CANCEL:
      return Code.CANCELLED;
    case ErrorCode.ENHANCE_YOUR_CALM:
      return Code.RESOURCE_EXHAUSTED;
    case ErrorCode.INADEQUATE_SECURITY:
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
