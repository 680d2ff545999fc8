/**
 * Fields that speak about one connection or one message's framing, not about the call (RFC 9113 section 8.2.2),
 * and those that HTTP/2 says with a pseudo-header field or END_STREAM instead. None crosses a proxy.
 */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'te',
  // What gRPC servers do with it beside `:authority`, too (gRFC A41).
  'host',
  'content-length',
]);

/** Fields by which gRPC itself speaks (PROTOCOL-HTTP2.md): each has a place of its own, outside the metadata. */
const PROTOCOL_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-timeout',
  'grpc-status',
  'grpc-message',
  'grpc-message-type',
]);

/** Whether a field belongs to one connection, and so never crosses a proxy. `name` in lower case. */
export function isConnectionHeader(name: string): boolean {
  return CONNECTION_HEADERS.has(name);
}

/** Whether a field is one of gRPC's own, and so no metadata. `name` in lower case. */
export function isProtocolHeader(name: string): boolean {
  return PROTOCOL_HEADERS.has(name);
}

/** Whether a field cannot be metadata, for either reason. Pseudo-header fields are not asked for here. */
export function isReservedHeader(name: string): boolean {
  return CONNECTION_HEADERS.has(name) || PROTOCOL_HEADERS.has(name);
}
