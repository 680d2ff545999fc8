import type { TLSSocket } from 'node:tls';
import type { ConnectionEnd, ConnectionEndCause } from '../port/connection-end.js';
import { ErrorCode, errorCodeName } from '../port/error-code.js';
import type { PeerRefusalReason } from '../port/peer-refusal.js';
import { printable } from './printable.js';
import { tlsReason, tlsReasonOfServer } from './tls-reasons.js';

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
  refusal: 'keepalive',
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
export const PINGED_TOO_OFTEN = brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, TOO_MANY_PINGS, 'too_many_pings');

/** What a client is told that begins by something else than the preface (RFC 9113 section 3.4). */
export const INVALID_PREFACE = 'invalid connection preface';

/** What a client has sent too many of behind one HEADERS. */
export const TOO_MANY_CONTINUATIONS = 'too many CONTINUATION frames';

/** A client has not begun to speak HTTP/2 in its time, TLS included. */
export const NO_SETTINGS = brokenProtocol(ErrorCode.ENHANCE_YOUR_CALM, 'no SETTINGS in time', 'timeout');

/** A client has finished its TLS handshake, or tried to, for another protocol. */
export const NO_ALPN: ConnectionEnd = {
  cause: 'tls',
  code: ErrorCode.NO_ERROR,
  text: 'TLS: the peer does not speak HTTP/2 (it did not offer "h2" by ALPN)',
  error: undefined,
  refusal: 'not_http2',
};

/** A client has come when there were as many as may be. */
export function tooManyConnections(most: number): ConnectionEnd {
  return {
    cause: 'local',
    code: ErrorCode.NO_ERROR,
    text: `there are ${most} connections, as many as may be`,
    error: undefined,
    refusal: 'connection_limit',
  };
}

/** A backend has been sent more PINGs than it permits, says its GOAWAY: no call, and no client, is at fault. */
export const PINGED_BACKEND_TOO_OFTEN: ConnectionEnd = {
  cause: 'keepalive',
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

/**
 * This side has found that the peer breaks the protocol, and said so in GOAWAY.
 *
 * @param refusal what a client has done so, if the code does not say it
 */
export function brokenProtocol(
  code: number,
  text: string,
  refusal: PeerRefusalReason | undefined = refusalOf(code),
): ConnectionEnd {
  return { cause: 'protocol', code, text: `${errorCodeName(code)}: ${text}`, error: undefined, refusal };
}

function refusalOf(code: number): PeerRefusalReason | undefined {
  if (code === ErrorCode.ENHANCE_YOUR_CALM) return 'flood';
  return code === ErrorCode.INTERNAL_ERROR ? undefined : 'malformed';
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
  const debug = printable(debugData?.toString('latin1', 0, MAX_DEBUG_LENGTH) ?? '', MAX_DEBUG_LENGTH);
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
  const { cause, text } = explained(first ?? error, isConnected);
  return { cause, code: ErrorCode.NO_ERROR, text, error };
}

/** What has become of a client's TLS handshake, by a server's event `tlsClientError`. */
export function endOfHandshake(error: NodeJS.ErrnoException, socket: TLSSocket): ConnectionEnd {
  if (error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return NO_SETTINGS;
  if (error.code === 'ERR_SSL_NO_APPLICATION_PROTOCOL') return NO_ALPN;
  const reason = tlsReasonOfServer(error, socket);
  // It has gone before it was done.
  if (reason === undefined) return endOfSocket(error, false);
  return { cause: 'tls', code: ErrorCode.NO_ERROR, text: `TLS: ${reason}`, error, refusal: 'tls' };
}

/**
 * The end of a connection whose peer has sent no SETTINGS, from what it would be if it had.
 *
 * @param showsCertificate whether the peer has got a client certificate if it asked for one
 */
export function beforeSettings(end: ConnectionEnd, showsCertificate: boolean): ConnectionEnd {
  if (end.cause === 'protocol') {
    return { ...end, cause: 'settings', text: `the peer does not speak HTTP/2 (${end.text})` };
  }
  const told = end === CLOSED_BY_PEER ? CLOSED_BEFORE_SETTINGS : end;
  const { code } = (told.error ?? {}) as NodeJS.ErrnoException;
  const isClosed = told === CLOSED_BEFORE_SETTINGS || code === 'ECONNRESET' || code === 'EPIPE';
  // Where a server on Node does not accept it, it closes without a word.
  return isClosed && showsCertificate
    ? { ...told, text: `${told.text}: it may not accept the client certificate` }
    : told;
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

function explained(error: NodeJS.ErrnoException, isConnected: boolean): Explanation {
  const { code = '' } = error;
  const reason = tlsReason(error);
  if (reason !== undefined) return { cause: 'tls', text: `TLS: ${reason}` };
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
