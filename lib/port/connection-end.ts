import type { PeerRefusalReason } from './peer-refusal.js';

/**
 * What a connection ended by, in one word:
 *
 * - `connect`: TCP was not connected (refused, unreachable, no such name, timed out);
 * - `tls`: the TLS handshake failed, or agreed on something else than HTTP/2;
 * - `settings`: the peer never began to speak HTTP/2;
 * - `closed`: the peer closed it, after GOAWAY or without;
 * - `reset`: TCP was reset, or broke;
 * - `goaway`: the peer ended it by GOAWAY with an error code;
 * - `protocol`: this side did, for what the peer sent;
 * - `keepalive`: the peer does not answer, or takes nothing, or was asked too often whether it lives;
 * - `local`: it was closed here.
 */
export type ConnectionEndCause =
  | 'connect'
  | 'tls'
  | 'settings'
  | 'closed'
  | 'reset'
  | 'goaway'
  | 'protocol'
  | 'keepalive'
  | 'local';

/** Why a connection ended, or could not be made. */
export interface ConnectionEnd {
  readonly cause: ConnectionEndCause;
  /** The error code of the GOAWAY that ended it, from either side; NO_ERROR where there was none. */
  readonly code: number;
  /**
   * A plain phrase that goes on after "the connection to X was lost: ", fit for anybody: no addresses, paths or
   * OpenSSL's own text. A peer's debug data stands there in quotes, cut to a bounded length.
   */
  readonly text: string;
  /** What Node reported, whole; for the log. */
  readonly error: Error | undefined;
  /** What a client has done whose connection ends so; unset if that is not what it ends for. */
  readonly refusal?: PeerRefusalReason | undefined;
}
