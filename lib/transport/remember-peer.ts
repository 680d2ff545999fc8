import type { Socket } from 'node:net';
import { rememberPeerCertificate } from '../port/peer-certificate.js';

/** A socket tells who its peer is when it is closed only if it was asked for it before. TLS, if there is any, is done. */
export function rememberPeer(socket: Socket): void {
  void socket.remoteAddress;
  rememberPeerCertificate(socket);
}
