import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { createFramesClientTransport, createFramesServerTransport } from './frames/index.js';
import { Http2ClientTransport } from './http2/client-transport.js';
import { Http2ServerTransport } from './http2/server-transport.js';
import type { ClientTransport, ServerTransport, StreamAcceptor } from './port.js';
import type { ConnectTarget } from './target.js';

/**
 * What speaks HTTP/2: `http2` is `node:http2`, the default; `frames` is this package's own frame engine on
 * `node:net` and `node:tls`, which takes a small part of the CPU per call.
 */
export type TransportName = 'http2' | 'frames';

export const TRANSPORT_NAMES: readonly TransportName[] = ['http2', 'frames'];

/** How connections to a backend are made, whatever the transport. */
export interface ConnectOptions {
  readonly tls: ConnectionOptions | undefined;
  readonly connectTimeoutMilliseconds: number | undefined;
  readonly maxConnections: number | undefined;
}

/** @throws TypeError for an unknown name */
export function createServerTransport(
  name: TransportName,
  acceptor: StreamAcceptor,
  tls: TlsOptions | undefined,
): ServerTransport {
  switch (name) {
    case 'http2':
      return new Http2ServerTransport(acceptor, tls);
    case 'frames':
      return createFramesServerTransport({ tls }, acceptor);
    default:
      throw unknownTransport(name);
  }
}

/** @throws TypeError for an unknown name */
export function createClientTransport(
  name: TransportName,
  target: ConnectTarget,
  options: ConnectOptions,
): ClientTransport {
  switch (name) {
    case 'http2':
      return new Http2ClientTransport(target, options);
    case 'frames':
      return createFramesClientTransport(target, options);
    default:
      throw unknownTransport(name);
  }
}

function unknownTransport(name: never): TypeError {
  return new TypeError(`transport must be one of ${TRANSPORT_NAMES.join(', ')}, not ${JSON.stringify(name)}`);
}
