import type { ConnectionEnd, ConnectionEndCause } from '../port/connection-end.js';
import { ErrorCode, errorCodeName } from '../port/error-code.js';

/** The most that is shown of the text that a peer put into its GOAWAY. */
const MAX_DEBUG_LENGTH = 200;

/** A connection that this side has closed on request. */
export const CLOSED_HERE: ConnectionEnd = {
  cause: 'local',
  code: ErrorCode.NO_ERROR,
  text: 'it was closed here',
  error: undefined,
};

/** The peer has ended the connection, without more ado. */
export const CLOSED_BY_PEER: ConnectionEnd = {
  cause: 'closed',
  code: ErrorCode.NO_ERROR,
  text: 'the peer closed it',
  error: undefined,
};

/** The peer has closed the connection where its SETTINGS were due. */
export const CLOSED_BEFORE_SETTINGS: ConnectionEnd = {
  cause: 'settings',
  code: ErrorCode.NO_ERROR,
  text: 'the peer closed it before it sent HTTP/2 SETTINGS',
  error: undefined,
};

/** The peer does not answer. */
export const NOT_ALIVE: ConnectionEnd = {
  cause: 'keepalive',
  code: ErrorCode.NO_ERROR,
  text: 'the peer is silent and does not answer a PING (keepalive)',
  error: undefined,
};

/** A connection that has been closed for its age, its calls with it. */
export const TOO_OLD: ConnectionEnd = {
  cause: 'local',
  code: ErrorCode.NO_ERROR,
  text: 'it was closed here for its age',
  error: undefined,
};

/** A client has cost more than it may. */
export const OVERDRAWN = {
  calls: brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, 'too many calls that were reset or malformed'),
  bytes: brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, 'too much is held for a client that takes none of it'),
} as const;

/** What a peer is told that sends PINGs too often (gRFC A8). */
export const TOO_MANY_PINGS = 'too_many_pings';

/** A client has sent more PINGs than it may. */
export const PINGED_TOO_OFTEN = brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, TOO_MANY_PINGS);

/** A backend has been sent more PINGs than it permits, says its GOAWAY. */
export const PINGED_BACKEND_TOO_OFTEN: ConnectionEnd = {
  cause: 'goaway',
  code: ErrorCode.ENHANCE_YOUR_CALM,
  text: `GOAWAY ENHANCE_YOUR_CALM, "${TOO_MANY_PINGS}"`,
  error: undefined,
};

/** The time to connect is over. */
export function connectTimeout(milliseconds: number): ConnectionEnd {
  return {
    cause: 'settings',
    code: ErrorCode.NO_ERROR,
    text: `no HTTP/2 SETTINGS within ${milliseconds} ms of the connection attempt`,
    error: undefined,
  };
}

/** This side has found that the peer breaks the protocol, and said so in GOAWAY. */
export function brokenProtocol(code: number, text: string): ConnectionEnd {
  return { cause: 'protocol', code, text: `${errorCodeName(code)}: ${text}`, error: undefined };
}

/**
 * The peer has ended it by a GOAWAY, with an error code or because it closes.
 *
 * @param before what it has said by one before, if that is known: the second need not repeat why
 */
export function goneAway(
  code: number,
  debugData: Buffer | undefined,
  before: ConnectionEnd | undefined,
): ConnectionEnd {
  const debug = printable(debugData);
  if (debug === '' && before?.code === code) return before;
  if (code === ErrorCode.ENHANCE_YOUR_CALM && debug === TOO_MANY_PINGS) return PINGED_BACKEND_TOO_OFTEN;
  return {
    cause: code === ErrorCode.NO_ERROR ? 'closed' : 'goaway',
    code,
    text: `GOAWAY ${errorCodeName(code)}${debug === '' ? '' : `, ${JSON.stringify(debug)}`}`,
    error: undefined,
  };
}

/**
 * What a socket's error means.
 *
 * @param isConnected whether TCP and TLS had been established before
 */
export function endOfSocket(error: Error | undefined, isConnected: boolean): ConnectionEnd {
  if (error === undefined) {
    return isConnected ? CLOSED_BY_PEER : CLOSED_BEFORE_SETTINGS;
  }
  // One error for each address of a name, and no message of its own.
  const first = error instanceof AggregateError ? (error.errors[0] as Error | undefined) : error;
  const { cause, text } = explained((first as NodeJS.ErrnoException | undefined)?.code ?? '', isConnected);
  return { cause, code: ErrorCode.NO_ERROR, text, error };
}

interface Explanation {
  readonly cause: ConnectionEndCause;
  readonly text: string;
}

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOENT: 'there is no such socket',
  EACCES: 'permission denied',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name server does not answer',
  EHOSTUNREACH: 'the host is unreachable',
  ENETUNREACH: 'the network is unreachable',
  ETIMEDOUT: 'the connection attempt timed out',
  EADDRNOTAVAIL: 'no local address or port is left',
  EMFILE: 'this process has too many files open',
};

/** What the checks of a certificate say (OpenSSL's X509_V_ERR_*, and Node's own check of the name). */
const CERTIFICATE_ERRORS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate has been revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another name',
  HOSTNAME_MISMATCH: 'the certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate is from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate is from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate is from an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate is from an unknown authority',
  ERR_NO_HTTP2: 'the peer does not speak HTTP/2 (it did not choose "h2" by ALPN)',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
    'the peer does not speak HTTP/2 (it did not choose "h2" by ALPN)',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the peer does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the peer does not speak TLS',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'the peer demands a client certificate',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'the peer does not accept the client certificate',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'the peer does not accept the client certificate',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'the peer refused the handshake',
};

function explained(code: string, isConnected: boolean): Explanation {
  const certificateError = CERTIFICATE_ERRORS[code];
  if (certificateError !== undefined) return { cause: 'tls', text: `TLS: ${certificateError}` };
  if (code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_') || code.startsWith('ERR_OSSL_')) {
    return { cause: 'tls', text: `TLS failed (${code})` };
  }
  if (!isConnected) {
    const connectError = CONNECT_ERRORS[code];
    if (connectError !== undefined) return { cause: 'connect', text: connectError };
    if (code === 'ECONNRESET')
      return { cause: 'connect', text: 'the peer closed it before it was established' };
    return {
      cause: 'connect',
      text: code === '' ? 'the connection attempt failed' : `the connection attempt failed (${code})`,
    };
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') return { cause: 'reset', text: 'it was reset by the peer' };
  if (code === 'ETIMEDOUT') return { cause: 'reset', text: 'the network timed out' };
  return { cause: 'reset', text: code === '' ? 'the connection failed' : `the connection failed (${code})` };
}

/** A peer's text with nothing in it that a terminal, or a header field, would take for more than a letter. */
function printable(data: Buffer | undefined): string {
  if (data === undefined) return '';
  return data.toString('latin1', 0, MAX_DEBUG_LENGTH).replace(/[^\x20-\x7e]/g, '?');
}
