import type { TLSSocket } from 'node:tls';
import type { ConnectionEnd } from '../../port/connection-end.js';
import { ErrorCode } from '../../port/error-code.js';

/**
 * The cipher suites that RFC 9113 appendix A does not prohibit: those with ephemeral keys and authenticated
 * encryption.
 */
const PERMITTED = /DHE_.*_(?:GCM|CCM|POLY1305)/;

/**
 * Whether TLS is as HTTP/2 asks (section 9.2): "Implementations of HTTP/2 MUST use TLS version 1.2 or higher",
 * and in 1.2 "Endpoints MAY choose to generate a connection error of type INADEQUATE_SECURITY if one of the
 * prohibited cipher suites is negotiated".
 */
export function isAdequate(socket: TLSSocket): boolean {
  const protocol = socket.getProtocol();
  return (
    protocol === 'TLSv1.3' || (protocol === 'TLSv1.2' && PERMITTED.test(socket.getCipher().standardName))
  );
}

/** The end of a connection whose TLS is not so. */
export const INADEQUATE_TLS: ConnectionEnd = {
  cause: 'tls',
  code: ErrorCode.INADEQUATE_SECURITY,
  text: 'TLS: the version or cipher suite is one that HTTP/2 prohibits',
  error: undefined,
  refusal: 'tls',
};
