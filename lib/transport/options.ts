import type { DialAddress } from '../port/address.js';
import type { BackendKeepalive } from './backend-keepalive.js';
import type { ClientTls } from './client-tls.js';
import type { DialLimits, ServerLimits } from './limits.js';
import type { ServerTls } from './server-tls.js';

/** How connections to a backend are made. */
export interface DialerOptions {
  readonly address: DialAddress;
  /** Whom the peer's certificate must be for: a name, or an IP address. */
  readonly serverName: string;
  /** Undefined: cleartext by prior knowledge (h2c). */
  readonly tls: ClientTls | undefined;
  readonly limits: DialLimits;
  /** What holds in place of the limits' own, since it changes. */
  readonly keepalive: BackendKeepalive;
}

/** How connections of clients are taken. */
export interface ServerTransportOptions {
  /** Undefined: cleartext by prior knowledge (h2c). */
  readonly tls: ServerTls | undefined;
  readonly limits: ServerLimits;
}
