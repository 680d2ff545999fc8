import type { ConnectionOptions, TlsOptions } from 'node:tls';
import type { DialAddress } from '../port/address.js';
import type { TransportLimits } from './limits.js';

/** How connections to a backend are made. */
export interface DialerOptions {
  readonly address: DialAddress;
  /** TLS, with these options of `tls.connect()`; undefined: cleartext by prior knowledge (h2c). */
  readonly tls: ConnectionOptions | undefined;
  /** From the start of an attempt to the peer's SETTINGS, TLS included. */
  readonly connectTimeoutMilliseconds: number;
  readonly limits: TransportLimits;
}

/** How connections of clients are taken. */
export interface ServerTransportOptions {
  /** TLS, with these options of `tls.createServer()`; undefined: cleartext by prior knowledge (h2c). */
  readonly tls: TlsOptions | undefined;
  readonly limits: TransportLimits;
}
