import type { Socket } from 'node:net';

/** The socket that a TLS socket was made of; that itself where there is no TLS. */
export function tcpSocketOf(socket: Socket): Socket {
  // Node has no public way to it.
  return (socket as Socket & { readonly _parent?: Socket | null })._parent ?? socket;
}
