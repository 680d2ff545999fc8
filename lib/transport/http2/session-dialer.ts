import type { ClientConnection, ConnectionOwner, Dialer } from '../../port/connection.js';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';
import type { ClientHttp2Session } from './node-types.js';
import { SessionConnection } from './session-connection.js';

const SESSION_GOING_AWAY: ConnectionEnd = {
  cause: 'closed',
  code: ErrorCode.NO_ERROR,
  text: 'the HTTP/2 session is going away',
  error: undefined,
};

/** {@link Dialer} over the one session that somebody else has connected, and will close. */
export class SessionDialer implements Dialer {
  readonly #session: ClientHttp2Session;

  #unusable: ConnectionEnd | undefined;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
    session.once('goaway', () => {
      this.#unusable = SESSION_GOING_AWAY;
    });
  }

  dial(owner: ConnectionOwner): ClientConnection {
    return new SessionConnection(this.#session, owner, this.#unusable);
  }
}
