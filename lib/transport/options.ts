import type { ConnectionOptions, TlsOptions } from 'node:tls';
import type { DialAddress } from '../port/address.js';
import type { BackendKeepalive } from './backend-keepalive.js';
import type { DialLimits, ServerLimits } from './limits.js';

/** How connections to a backend are made. */
export interface DialerOptions {
  readonly address: DialAddress;
  /** The name that the peer's certificate must be for; undefined: the address itself. */
  readonly serverName: string | undefined;
  /** TLS, with these options of `tls.connect()`; undefined: cleartext by prior knowledge (h2c). */
  readonly tls: ConnectionOptions | undefined;
  readonly limits: DialLimits;
  /** What holds in place of the limits' own, since it changes. */
  readonly keepalive: BackendKeepalive;
}

/** How connections of clients are taken. */
export interface ServerTransportOptions {
  /** TLS, with these options of `tls.createServer()`; undefined: cleartext by prior knowledge (h2c). */
  readonly tls: TlsOptions | undefined;
  readonly limits: ServerLimits;
}
