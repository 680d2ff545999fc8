import type { PeerCertificate } from '../../port/peer-certificate.js';

/**
 * Whom a client's certificate says that it is: its SPIFFE ID, or else the first DNS name or URI of its alternative names, or
 * else its subject.
 */
export function identityOf({ subject, subjectAltNames }: PeerCertificate): string {
  const name =
    subjectAltNames.find(({ kind, value }) => kind === 'uri' && value.startsWith('spiffe://')) ??
    subjectAltNames.find(({ kind }) => kind === 'dns' || kind === 'uri');
  return name?.value ?? subject;
}
