/**
 * Why a client's connection was refused or ended, in one word:
 *
 * - `not_http2`: it speaks something else; `malformed`: it broke HTTP/2's framing or header compression;
 * - `tls`: no TLS handshake could be made with it;
 * - `flood`: it sent more of what costs something than the limits allow; `too_many_pings`: PINGs above what is permitted;
 * - `timeout`: it did not finish its handshake, or a frame, in time;
 * - `connection_limit`: there are as many connections as may be; `keepalive`: it no longer answered.
 */
export type PeerRefusalReason =
  | 'not_http2'
  | 'malformed'
  | 'tls'
  | 'flood'
  | 'too_many_pings'
  | 'timeout'
  | 'connection_limit'
  | 'keepalive';
