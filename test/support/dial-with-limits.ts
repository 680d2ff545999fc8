import { Channel } from '../../lib/client/channel/channel.js';
import { ClientConn } from '../../lib/client/client-conn.js';
import type { TransportName } from '../../lib/index.js';
import { DEFAULT_LIMITS, type TransportLimits } from '../../lib/transport/limits.js';
import { createDialer } from '../../lib/transport/transports.js';

/** What `dial()` makes for a port of the loopback interface, with other limits than the default ones. */
export function dialWithLimits(
  transport: TransportName,
  port: number,
  limits: Partial<TransportLimits>,
): ClientConn {
  const dialer = createDialer(transport, {
    address: { host: '127.0.0.1', port },
    tls: undefined,
    connectTimeoutMilliseconds: 5000,
    limits: { ...DEFAULT_LIMITS, ...limits },
  });
  const target = `127.0.0.1:${port}`;
  return ClientConn.over(new Channel(target, dialer, 100), target, target, () => false);
}
