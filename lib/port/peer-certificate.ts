import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** A name that a certificate is for, besides its subject. */
export interface SubjectAltName {
  /** `other`: of a kind that has no word here; then {@link value} has its own in front. */
  readonly kind: 'dns' | 'ip' | 'uri' | 'email' | 'other';
  /** The name itself. */
  readonly value: string;
}

/** What a certificate says that the connection's peer has shown, and that has been verified. */
export interface PeerCertificate {
  /** In one line, as in `C=DE, O=Acme, CN=client`; commas inside of a part are escaped by a backslash. */
  readonly subject: string;
  /** Who has signed it, in the same form. */
  readonly issuer: string;
  /** Its further names, in its order; mostly it is these that say who the peer is. */
  readonly subjectAltNames: readonly SubjectAltName[];
  /** SHA-256 of the certificate, as `AB:CD:…`. */
  readonly fingerprint256: string;
  /** It is valid from then on. */
  readonly validFrom: Date;
  /** It is valid until then. It was so at the handshake: connections may last longer. */
  readonly validTo: Date;
  /** In upper-case hexadecimal digits. */
  readonly serialNumber: string;
}

/** Certificates by their connections: read once, and only when somebody asks. */
const certificates = new WeakMap<Socket, X509Certificate | PeerCertificate>();

/** Keeps a socket's certificate, if it is verified: the socket does not tell of it once it is closed. */
export function rememberPeerCertificate(socket: Socket): void {
  const { authorized, getPeerX509Certificate } = socket as Partial<TLSSocket>;
  // `authorized` alone does not say that there is a certificate: a resumed session, or a PSK, has none to fail by.
  if (authorized !== true) return;
  const certificate = getPeerX509Certificate?.call(socket);
  if (certificate !== undefined) certificates.set(socket, certificate);
}

/** The verified certificate of a socket's peer, if there is one. */
export function peerCertificateOf(socket: Socket): PeerCertificate | undefined {
  const known = certificates.get(socket);
  if (known === undefined || !('checkPrivateKey' in known)) return known;
  const read = readCertificate(known);
  certificates.set(socket, read);
  return read;
}

function readCertificate(certificate: X509Certificate): PeerCertificate {
  return Object.freeze({
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    subjectAltNames: Object.freeze(parseSubjectAltNames(certificate.subjectAltName)),
    fingerprint256: certificate.fingerprint256,
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
    serialNumber: certificate.serialNumber,
  });
}

/** Node writes a part a line, with commas and control characters escaped. */
function oneLine(name: string | undefined): string {
  return (name ?? '').split('\n').join(', ');
}

const KINDS: Readonly<Record<string, SubjectAltName['kind']>> = {
  DNS: 'dns',
  'IP Address': 'ip',
  URI: 'uri',
  email: 'email',
};

/** A name in the list that Node makes: the kind, and a value which, where it could be misread, is a JSON string. */
const ALT_NAME = /([^:,]+):("(?:[^"\\]|\\.)*"|(?!")[^,]*)(?:, |$)/y;

/**
 * Reads Node's list of the names that a certificate is for, `DNS:a.test, IP Address:::1, …`. What is not as Node writes
 * it ends the list: a name that nobody has vouched for must not come of it.
 */
export function parseSubjectAltNames(text: string | undefined): SubjectAltName[] {
  const names: SubjectAltName[] = [];
  if (text === undefined) return names;
  ALT_NAME.lastIndex = 0;
  for (let match = ALT_NAME.exec(text); match !== null; match = ALT_NAME.exec(text)) {
    const [, word, value] = match as unknown as [string, string, string];
    const plain = unquoted(value);
    if (plain === undefined) break;
    const kind = Object.hasOwn(KINDS, word) ? KINDS[word]! : 'other';
    names.push({ kind, value: kind === 'other' ? `${word}:${plain}` : plain });
    if (ALT_NAME.lastIndex === text.length) break;
  }
  return names;
}

function unquoted(value: string): string | undefined {
  if (!value.startsWith('"')) return value;
  try {
    return JSON.parse(value) as string;
  } catch {
    return undefined;
  }
}
