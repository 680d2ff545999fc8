import type { ClientConnection, ConnectionOwner, Dialer } from '../../port/connection.js';
import type { DialerOptions } from '../options.js';
import type { Watchdog } from '../watchdog.js';
import { BackendAgent } from './backend-agent.js';
import { Http2ClientConnection } from './client-connection.js';
import { sessionWatchdog } from './session-watch.js';

/** {@link Dialer} on `node:http2`, whose sessions http2-wrapper's Agent makes. */
export class Http2Dialer implements Dialer {
  readonly #options: DialerOptions;
  readonly #agent: BackendAgent;
  readonly #watchdog: Watchdog;

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#agent = new BackendAgent(options);
    this.#watchdog = sessionWatchdog(options.limits);
  }

  dial(owner: ConnectionOwner): ClientConnection {
    const connection = new Http2ClientConnection(owner, this.#options, this.#watchdog);
    this.#agent.dial(connection);
    return connection;
  }
}
