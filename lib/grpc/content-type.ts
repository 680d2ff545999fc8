/**
 * Whether a content-type is gRPC's: `"application/grpc" [("+proto" / "+json" / {custom})]` (PROTOCOL-HTTP2),
 * with or without parameters. gRPC-Web is a different protocol under a similar name.
 */
export function isGrpcContentType(contentType: string | undefined): boolean {
  if (contentType === 'application/grpc' || contentType === 'application/grpc+proto') return true;
  return contentType !== undefined && /^application\/grpc\s*(?:[+;]|$)/i.test(contentType);
}
