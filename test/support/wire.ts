import { once } from 'node:events';
import net, { type ServerOpts, type Socket } from 'node:net';
import tls from 'node:tls';
import type { DialOptions, ServerOptions } from '../../lib/index.js';
import { cert, key } from './certificate.js';

/** What lies under HTTP/2 between a proxy and its peers. */
export interface Wire {
  /** For the proxy, and what it dials. */
  readonly serverOptions: Pick<ServerOptions, 'tls'>;
  readonly dialOptions: Pick<DialOptions, 'tls'>;
  target(port: number): string;
  /** For peers that speak frame by frame: sockets that are ready for HTTP/2. */
  createServer(options: ServerOpts, onSocket: (socket: Socket) => void): net.Server;
  connect(port: number): Promise<Socket>;
}

export const CLEARTEXT: Wire = {
  serverOptions: {},
  dialOptions: {},
  target: (port) => `http://127.0.0.1:${port}`,
  createServer: (options, onSocket) => net.createServer(options, onSocket),
  async connect(port) {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  },
};

const KEYS = { key, cert };
const TRUST = { ca: cert, servername: 'backend.test' };
const ALPN = { ALPNProtocols: ['h2'] };

export const TLS: Wire = {
  serverOptions: { tls: KEYS },
  dialOptions: { tls: TRUST },
  target: (port) => `https://127.0.0.1:${port}`,
  createServer: (options, onSocket) => tls.createServer({ ...options, ...KEYS, ...ALPN }, onSocket),
  async connect(port) {
    // Not by the host and port: `resetConnection` needs the socket under it.
    const socket = tls.connect({ socket: net.connect(port, '127.0.0.1'), ...TRUST, ...ALPN });
    await once(socket, 'secureConnect');
    return socket;
  },
};

/** Ends a connection by TCP's RST. A TLS socket can't; the one under it, which is missing from the types, can. */
export function resetConnection(socket: Socket): void {
  const { _parent: under } = socket as Socket & { _parent?: Socket | null };
  // Once it has sent its FIN, a reset fails with EINVAL and leaves the handle open for ever.
  if (socket.writableEnded) socket.destroy();
  else (under ?? socket).resetAndDestroy();
}
