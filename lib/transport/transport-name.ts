/**
 * What speaks HTTP/2: `http2` is `node:http2`, the default; `frames` is this package's own frame engine on
 * `node:net` and `node:tls`, which takes a small part of the CPU per call.
 */
export type TransportName = 'http2' | 'frames';

export const TRANSPORT_NAMES: readonly TransportName[] = ['http2', 'frames'];
