import type { Http2SecureServer, Http2Server } from 'node:http2';

export type { ClientHttp2Session } from 'node:http2';

/** A server of `node:http2`, for h2c or TLS. */
export type NodeHttp2Server = Http2Server | Http2SecureServer;
