import type { TransportName } from '../../lib/index.js';

/** What stands behind the server's port, and behind the port of connections to backends. */
export interface Transports {
  readonly server: TransportName;
  readonly client: TransportName;
}

/** All the pairs that there are. */
export const TRANSPORTS: readonly Transports[] = [
  { server: 'http2', client: 'http2' },
  { server: 'frames', client: 'frames' },
  { server: 'http2', client: 'frames' },
  { server: 'frames', client: 'http2' },
];
