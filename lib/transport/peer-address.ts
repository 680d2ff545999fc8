import type { Socket } from 'node:net';

/** A socket tells its peer's address when it is closed only if it was asked for it before. */
export function rememberPeer(socket: Socket): void {
  void socket.remoteAddress;
}
