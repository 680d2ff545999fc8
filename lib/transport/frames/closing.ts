import type { Socket } from 'node:net';

/** How long a peer has to close a connection that this side has half-closed, before the socket is destroyed. */
export const LINGER_MILLISECONDS = 500;

/** How long it has to take what was sent before. */
const MAX_FLUSH_MILLISECONDS = 30_000;

/**
 * Waits for the peer to close a connection that this side has half-closed. Its input is still taken, and dropped:
 * closing a socket with unread input would reset it, and the peer might never see what was sent last.
 */
export function linger(socket: Socket, flushMilliseconds = MAX_FLUSH_MILLISECONDS): void {
  if (socket.closed) return;
  socket.resume();
  let timer = setTimeout(destroySocket, flushMilliseconds, socket).unref();
  socket.once('finish', () => {
    clearTimeout(timer);
    timer = setTimeout(destroySocket, LINGER_MILLISECONDS, socket).unref();
  });
  // The timer must not keep what has ended: peers can make, and lose, thousands of connections a second.
  socket.once('close', () => clearTimeout(timer));
}

function destroySocket(socket: Socket): void {
  socket.destroy();
}
