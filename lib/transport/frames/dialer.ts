import type { ClientConnection, ConnectionOwner, Dialer } from '../../port/connection.js';
import type { DialerOptions } from '../options.js';
import { Watchdog } from '../watchdog.js';
import { FramesClientConnection } from './client-connection.js';

/** Makes connections on this engine. */
export class FramesDialer implements Dialer {
  private readonly watchdog: Watchdog;

  /** @param firstStreamId of every connection: 1 but in tests */
  constructor(
    private readonly options: DialerOptions,
    private readonly firstStreamId = 1,
  ) {
    this.watchdog = new Watchdog(options.limits);
  }

  dial(owner: ConnectionOwner): ClientConnection {
    return new FramesClientConnection(owner, this.options, this.watchdog, this.firstStreamId);
  }
}
