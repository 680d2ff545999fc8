import type { Failure } from '../call/outcome.js';
import { isGrpcContentType } from '../grpc/content-type.js';
import { trailersOf } from '../grpc/trailers.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { ServerCall } from '../server/server-call.js';

/** Keeps what the primary ended with, for the client to get it as it is. */
export function keepTrailers(call: ServerCall, trailers: HeaderList, failure: Failure | undefined): void {
  const contentType = headerValue(trailers, 'content-type');
  // Only a Trailers-Only response has one there. A page of a balancer's is none that clients would read a status in.
  if (isGrpcContentType(contentType)) call.responseContentType = contentType!;
  if (failure === undefined) {
    call.trailers = trailers[0]?.startsWith(':') ? trailersOf(trailers) : trailers;
  }
}
