import net from 'node:net';
import tls, { type ConnectionOptions, type SecureContext, type SecureContextOptions } from 'node:tls';
import { wrongType } from '../port/errors.js';
import { orNull } from './or-null.js';
import { createSecureContext, renewedOptions } from './secure-context.js';
import { CertificateRefusedError } from './tls-reasons.js';

type IdentityCheck = NonNullable<ConnectionOptions['checkServerIdentity']>;

/** How TLS is spoken with a backend: one object for all that dial it, whichever of its addresses. */
export class ClientTls {
  #options: ConnectionOptions;
  #secureContext: SecureContext;
  /** What is prepared for each name. */
  #prepared = new Map<string, ConnectionOptions>();

  /**
   * @param options of `tls.connect()`
   * @throws SecureContextError, or TypeError, for options that no handshake can be made by
   */
  constructor(options: ConnectionOptions) {
    if (typeof options !== 'object' || options === null) {
      throw wrongType('tls', 'an object of options', options);
    }
    this.#options = { ...options };
    if (options.pskCallback !== undefined) this.#options.pskCallback = orNull(options.pskCallback);
    this.#secureContext = options.secureContext ?? createSecureContext(this.#options);
    // What is no function is to be told now.
    this.optionsFor('localhost');
  }

  /**
   * What to call `tls.connect()` with, besides the address. It is another object after {@link replace}, and a session
   * is resumed only by the one that it was made with: resumption checks no certificate.
   *
   * @param serverName whom the certificate must be for, a name or an IP address, unless the options' `servername` says it
   */
  optionsFor(serverName: string): ConnectionOptions {
    let prepared = this.#prepared.get(serverName);
    if (prepared === undefined) {
      prepared = this.#prepare(serverName);
      this.#prepared.set(serverName, prepared);
    }
    return prepared;
  }

  /** Whether a peer that asks for a client certificate gets one. */
  get showsCertificate(): boolean {
    return this.#options.cert !== undefined || this.#options.pfx !== undefined;
  }

  /**
   * Sets what the next handshakes are made by; what is not given stays.
   *
   * @throws SecureContextError, or TypeError, for what is of no use; then everything stays
   */
  replace(given: SecureContextOptions): void {
    const options = renewedOptions(this.#options, given);
    delete options.secureContext;
    delete options.session;
    this.#secureContext = createSecureContext(options);
    this.#options = options;
    this.#prepared = new Map();
  }

  #prepare(serverName: string): ConnectionOptions {
    const options = this.#options;
    // A name may end in a dot in DNS, but not in TLS: "without a trailing dot" (RFC 6066 section 3).
    const name = (options.servername || serverName).replace(/\.$/, '');
    const isNamed = options.servername !== '' && net.isIP(name) === 0;
    return {
      ...options,
      secureContext: this.#secureContext,
      // "Literal IPv4 and IPv6 addresses are not permitted in "HostName"" (there, too).
      servername: isNamed ? name : undefined,
      checkServerIdentity: identityCheck(name, options.checkServerIdentity),
      ALPNProtocols: ['h2'],
    } as ConnectionOptions;
  }
}

/** Node would give the check the address where it knows no server name. */
function identityCheck(name: string, own: IdentityCheck | undefined): IdentityCheck {
  if (own === undefined) return (_host, certificate) => tls.checkServerIdentity(name, certificate);
  if (typeof own !== 'function') throw wrongType('tls.checkServerIdentity', 'a function', own);
  return (_host, certificate) => {
    let refusal: unknown;
    try {
      refusal = own(name, certificate);
    } catch (error) {
      refusal = error ?? true;
    }
    if (!refusal) return undefined;
    // One who answers later has not accepted it.
    if (refusal instanceof Promise) refusal.catch(() => {});
    const isNodes = (refusal as NodeJS.ErrnoException).code === 'ERR_TLS_CERT_ALTNAME_INVALID';
    return isNodes ? (refusal as Error) : new CertificateRefusedError(refusal);
  };
}
