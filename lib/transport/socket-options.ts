/**
 * Of every TCP socket. Nagle's algorithm would hold small frames back. Keepalive finds peers that are gone where HTTP/2
 * asks nobody: before its handshake, and while output is blocked; a minute is what C-core's TCP_USER_TIMEOUT and the
 * server's PING grant a silent peer, too.
 */
export const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const;
