import net, { type Socket } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { DialAddress } from '../port/address.js';
import { SOCKET_OPTIONS } from './socket-options.js';

/**
 * Begins to connect, by TLS if there are options for it. A TLS peer that does not choose HTTP/2 makes the
 * socket fail with {@link NoHttp2Error}.
 *
 * @param tlsOptions those of a {@link ClientTls}
 * @param session of TLS, to be resumed; of these options
 * @throws Error for options that Node looks at only now (`lookup`, say)
 */
export function connect(
  address: DialAddress,
  tlsOptions: tls.ConnectionOptions | undefined,
  session?: Buffer,
): Socket {
  if (tlsOptions === undefined) return net.connect({ ...address, ...SOCKET_OPTIONS });
  const resumed = session === undefined ? {} : { session };
  const socket = tls.connect({ ...resumed, ...tlsOptions, ...address });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, SOCKET_OPTIONS.keepAliveInitialDelay);
  socket.once('secureConnect', () => {
    // Not at once: Node's own listeners come after this one, and node:http2's aborts the process if the socket has
    // lost its handle by then.
    if (!speaksHttp2(socket)) setImmediate(() => socket.destroy(new NoHttp2Error()));
  });
  return socket;
}

/** Whether ALPN has agreed on HTTP/2: "HTTP/2 connections over TLS MUST use" it (RFC 9113 section 3.3). */
export function speaksHttp2(socket: TLSSocket): boolean {
  return socket.alpnProtocol === 'h2';
}

/** The TLS peer did not choose `h2` by ALPN. */
export class NoHttp2Error extends Error {
  readonly code = 'ERR_NO_HTTP2';

  constructor() {
    super('the TLS peer did not choose "h2" by ALPN');
  }
}
