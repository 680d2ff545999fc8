import { isGrpcContentType } from '../grpc/content-type.js';
import { Code, StatusError } from '../grpc/status.js';
import { codeFromHttpStatus } from '../grpc/status-mapping.js';
import { type HeaderList, headerValue } from '../port/headers.js';

/** The error that a response is by its headers, when they aren't gRPC's. */
export function notGrpc(target: string, headers: HeaderList): StatusError | undefined {
  const status = Number(headerValue(headers, ':status'));
  if (status !== 200) {
    return StatusError.withoutStack(
      codeFromHttpStatus(status),
      `${target} answered with HTTP status ${status}`,
    );
  }
  if (hasGrpcContentType(headers)) return undefined;
  const contentType = headerValue(headers, 'content-type');
  const what = contentType === undefined ? 'no content-type' : `content-type ${JSON.stringify(contentType)}`;
  return StatusError.withoutStack(Code.UNKNOWN, `${target} answered with ${what}, which is not gRPC`);
}

/** Whether response headers say that what follows them is gRPC's. */
export function hasGrpcContentType(headers: HeaderList): boolean {
  return isGrpcContentType(headerValue(headers, 'content-type'));
}

/** The error of trailers, or of a Trailers-Only response, without a `grpc-status`. */
export function missingStatus(target: string, trailers: HeaderList): StatusError {
  const isTrailersOnly = headerValue(trailers, ':status') !== undefined;
  return (
    (isTrailersOnly ? notGrpc(target, trailers) : undefined) ??
    StatusError.withoutStack(Code.UNKNOWN, `${target} ended the call without a grpc-status`)
  );
}
