import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { ErrorCode } from '../../port/error-code.js';

/** How long a session that was destroyed has for its GOAWAY. */
const LINGER_MILLISECONDS = 1000;

/**
 * Destroys a session, and its socket. Node waits for the session's last write: a peer that reads nothing never takes
 * it, and over TLS on a broken connection nobody tells Node that it is done (nodejs/node#55804). Session and socket
 * would stay for ever.
 */
export function destroySession(
  session: Http2Session,
  socket: Socket,
  code: number = ErrorCode.NO_ERROR,
): void {
  // Not `undefined`: Node would take that for NO_ERROR in place of an error, and the code from there.
  session.destroy(null as unknown as undefined, code);
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), LINGER_MILLISECONDS).unref();
  socket.once('close', () => clearTimeout(timer));
}
