import type { PeerCertificate, TLSSocket } from 'node:tls';
import { parseSubjectAltNames } from '../port/peer-certificate.js';
import { printable } from './printable.js';

/** The application's own check has not accepted a certificate. */
export class CertificateRefusedError extends Error {
  readonly code = 'ERR_CERTIFICATE_REFUSED';

  constructor(cause: unknown) {
    super("the application's check has refused the certificate", { cause });
  }
}

const ANOTHER_NAME = 'the certificate is for another name';
const UNKNOWN_AUTHORITY = 'the certificate is from an unknown authority';
const BAD_AUTHORITY = 'an authority of the certificate may not vouch for it';
const NO_HTTP2 = 'the peer does not speak HTTP/2 (it did not choose "h2" by ALPN)';
const NO_TLS = 'the peer does not speak TLS';
const OTHER_VERSIONS = 'the peer speaks no version of TLS that is allowed here';
const TOO_WEAK = 'the certificate, or one that vouches for it, is too weak';

/** What the checks of this side say: OpenSSL's X509_V_ERR_* and SSL_R_*, by Node's names, and Node's own. */
const OWN_CHECKS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate has been revoked',
  CERT_SIGNATURE_FAILURE: "the certificate's signature is wrong",
  CERT_CHAIN_TOO_LONG: 'the certificate has too many authorities',
  CERT_UNTRUSTED: 'the certificate is not trusted',
  CERT_REJECTED: 'the certificate is not trusted',
  CRL_HAS_EXPIRED: 'the list of revoked certificates has expired',
  CRL_NOT_YET_VALID: 'the list of revoked certificates is not valid yet',
  UNABLE_TO_GET_CRL: 'there is no list of revoked certificates for the authority',
  INVALID_CA: BAD_AUTHORITY,
  PATH_LENGTH_EXCEEDED: BAD_AUTHORITY,
  INVALID_PURPOSE: 'the certificate is for another purpose',
  UNSPECIFIED: 'the certificate was not accepted',
  HOSTNAME_MISMATCH: ANOTHER_NAME,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  ERR_CERTIFICATE_REFUSED: "the application's check has refused the certificate",
  ERR_NO_HTTP2: NO_HTTP2,
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  ERR_SSL_HTTP_REQUEST: NO_TLS,
  ERR_SSL_UNSUPPORTED_PROTOCOL: OTHER_VERSIONS,
  ERR_SSL_VERSION_TOO_LOW: OTHER_VERSIONS,
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: 'no version of TLS is allowed here',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'the peer shows no certificate, and one is demanded',
  ERR_SSL_EE_KEY_TOO_SMALL: TOO_WEAK,
  ERR_SSL_CA_KEY_TOO_SMALL: TOO_WEAK,
  ERR_SSL_CA_MD_TOO_WEAK: TOO_WEAK,
  ERR_SSL_DH_KEY_TOO_SMALL: "the peer's key exchange is too weak",
  ERR_TLS_DH_PARAM_SIZE: "the peer's key exchange is too weak",
};

/**
 * What the peer's alerts say (RFC 8446 section 6.2).
 *
 * @param own which certificate this side has shown, if any
 */
function alerts(own: 'client' | 'server'): Readonly<Record<string, string>> {
  const refused = `the peer does not accept the ${own} certificate`;
  const demands = own === 'client';
  return {
    CERTIFICATE_REQUIRED: 'the peer demands a client certificate',
    UNKNOWN_CA: `${refused}: it is from an authority that is unknown there`,
    CERTIFICATE_EXPIRED: `${refused}: it has expired`,
    CERTIFICATE_REVOKED: `${refused}: it has been revoked`,
    // Sent where there is none, too: Go's servers do, by TLS 1.2.
    BAD_CERTIFICATE: `${refused}${demands ? ', or demands one' : ''}`,
    UNSUPPORTED_CERTIFICATE: refused,
    CERTIFICATE_UNKNOWN: refused,
    ACCESS_DENIED: refused,
    // By TLS 1.2 it may also be that there is no client certificate.
    HANDSHAKE_FAILURE: `the peer refused the handshake: nothing on offer suits it${
      demands ? ', or it demands a client certificate' : ''
    }`,
    INSUFFICIENT_SECURITY: 'the peer demands a stronger cipher suite',
    PROTOCOL_VERSION: OTHER_VERSIONS,
    UNRECOGNIZED_NAME: 'the peer does not know the name that it was asked for',
    NO_APPLICATION_PROTOCOL: NO_HTTP2,
  };
}

const ALERTS = { client: alerts('client'), server: alerts('server') } as const;

/** OpenSSL 3.2 began to call some `SSL/TLS` that had been `SSLV3`. */
const ALERT = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_(?:ALERT_)?([A-Z_]+)$/;

/**
 * Why TLS failed, in plain words, for anybody; undefined for an error that is not TLS's.
 *
 * @param own which side this is
 */
export function tlsReason(
  error: NodeJS.ErrnoException,
  own: 'client' | 'server' = 'client',
): string | undefined {
  const { code = '' } = error;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return anotherName(error);
  if (Object.hasOwn(OWN_CHECKS, code)) return OWN_CHECKS[code];
  const alert = ALERT.exec(code)?.[1];
  if (alert !== undefined) {
    const known = Object.hasOwn(ALERTS[own], alert) ? ALERTS[own][alert] : undefined;
    return known ?? `the peer refused the handshake (${alert.toLowerCase()})`;
  }
  return /^ERR_(?:SSL|TLS|OSSL)_/.test(code) ? `the handshake failed (${code})` : undefined;
}

/**
 * The same of a client's handshake with this server. Node closes the socket of a client whose certificate is not accepted
 * as if it had hung up, and says why only there.
 */
export function tlsReasonOfServer(error: NodeJS.ErrnoException, socket: TLSSocket): string | undefined {
  const check: unknown = socket.authorizationError;
  if (!check) return tlsReason(error, 'server');
  const code = String(check);
  return tlsReason({ name: '', message: '', code }) ?? `the certificate was not accepted (${code})`;
}

const MAX_NAMES = 4;
const MAX_NAME_LENGTH = 100;

function anotherName(error: Error): string {
  const { host, cert } = error as Error & {
    readonly host?: unknown;
    readonly cert?: Partial<PeerCertificate>;
  };
  if (typeof host !== 'string') return ANOTHER_NAME;
  const names = namesOf(cert);
  const shown = names.slice(0, MAX_NAMES).map(quoted).join(', ');
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  const actual = names.length === 0 ? 'it names no host' : `it is for ${shown}${more}`;
  return `${ANOTHER_NAME}: not for ${quoted(host)}, ${actual}`;
}

function namesOf(certificate: Partial<PeerCertificate> | undefined): string[] {
  const names = parseSubjectAltNames(certificate?.subjectaltname)
    .filter(({ kind }) => kind === 'dns' || kind === 'ip')
    .map(({ value }) => value);
  // Where there is none of these, the common name counts (RFC 6125 section 6.4.4).
  const common: unknown = certificate?.subject?.CN;
  return names.length === 0 && common ? [String(common)] : names;
}

function quoted(name: string): string {
  return `"${printable(name, MAX_NAME_LENGTH)}"`;
}
