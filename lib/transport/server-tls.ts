import type { SecureContextOptions, Server, TlsOptions } from 'node:tls';
import { wrongType } from '../port/errors.js';
import { orNull } from './or-null.js';
import { createSecureContext, renewedOptions, SecureContextError } from './secure-context.js';

/** How TLS is spoken with clients: one object for all listeners of a server. */
export class ServerTls {
  #options: TlsOptions;
  readonly #servers = new Set<Server>();

  /**
   * @param options of `tls.createServer()`
   * @throws SecureContextError, or TypeError, for options that no handshake can be made by
   */
  constructor(options: TlsOptions) {
    if (typeof options !== 'object' || options === null) {
      throw wrongType('tls', 'an object of options', options);
    }
    createSecureContext(options);
    const { cert, pfx, SNICallback, pskCallback } = options;
    if (cert === undefined && pfx === undefined && SNICallback === undefined && pskCallback === undefined) {
      throw new SecureContextError('cert', 'is missing: a server needs cert and key, or pfx');
    }
    this.#options = { ...options };
    if (SNICallback !== undefined) this.#options.SNICallback = guarded(SNICallback);
    if (pskCallback !== undefined) this.#options.pskCallback = orNull(pskCallback);
  }

  /** What a listener is to be made with. */
  get options(): TlsOptions {
    return this.#options;
  }

  /** A listener has been made with {@link options}; {@link replace} is for it, too, until it is closed. */
  add(server: Server): void {
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
  }

  /**
   * Sets what the next handshakes are made by; what is not given stays. Sessions that clients have of before are not
   * resumed, unless `ticketKeys` are given: each context has its own.
   *
   * @throws SecureContextError, or TypeError, for what is of no use; then everything stays
   */
  replace(given: SecureContextOptions): void {
    const options = renewedOptions(this.#options, given);
    createSecureContext(options);
    for (const server of this.#servers) server.setSecureContext(options);
    this.#options = options;
  }
}

/** Node calls it from inside of OpenSSL: what it throws would end the process, at whatever name a client asks for. */
function guarded(callback: NonNullable<TlsOptions['SNICallback']>): NonNullable<TlsOptions['SNICallback']> {
  return (name, done) => {
    try {
      callback(name, done);
    } catch (error) {
      done(error instanceof Error ? error : new Error('SNICallback failed', { cause: error }));
    }
  };
}
