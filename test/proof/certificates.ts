import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Authority, type Identity } from '../support/authority.js';

/** Whom the certificates are for. */
export const PROXY_NAME = 'proxy.test';
const BACKEND_NAMES = ['stable.test', 'next.test'];

/** What all files are reached by: a link that is swapped, as Kubernetes does it. */
const CURRENT = 'current';

/** Of two authorities, the second of which takes the place of the first while all goes on. */
export class Certificates {
  readonly #folder: string;
  readonly #old = new Authority('old authority');
  readonly #new = new Authority('new authority');
  #files: Readonly<Record<string, string>>;
  #version = 0;

  /** All is of the old authority. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder);
    const both = this.#old.cert + this.#new.cert;
    this.#files = {
      // Those who call directly, and the backends, learn of the new authority long before.
      'clients-trust.pem': both,
      'backends-trust.pem': both,
      'proxies-trust.pem': this.#old.cert,
      ...this.#issuedBy(this.#old),
    };
    this.#publish();
  }

  path(name: string): string {
    return join(this.#folder, CURRENT, name);
  }

  /** Now all certificates are of the new authority, and only that is trusted, but that proxies still trust older backends. */
  renew(): void {
    this.#files = {
      'clients-trust.pem': this.#new.cert,
      'backends-trust.pem': this.#new.cert,
      'proxies-trust.pem': this.#old.cert + this.#new.cert,
      ...this.#issuedBy(this.#new),
    };
    this.#publish();
  }

  /** Now nobody trusts the old authority. */
  retire(): void {
    this.#files = { ...this.#files, 'proxies-trust.pem': this.#new.cert };
    this.#publish();
  }

  #issuedBy(authority: Authority): Record<string, string> {
    const pair = (name: string, names: readonly string[]): Record<string, string> => {
      const altNames = names.map((each) => `DNS:${each}`);
      const { cert, key }: Identity = authority.issue({ name: names[0]!, altNames });
      return { [`${name}.crt`]: cert, [`${name}.key`]: key };
    };
    return {
      ...pair('listener', [PROXY_NAME]),
      ...pair('proxy', [PROXY_NAME]),
      ...pair('backend', BACKEND_NAMES),
    };
  }

  #publish(): void {
    const version = `version-${++this.#version}`;
    mkdirSync(join(this.#folder, version));
    for (const [name, text] of Object.entries(this.#files)) {
      writeFileSync(join(this.#folder, version, name), text);
    }
    const link = join(this.#folder, CURRENT);
    symlinkSync(version, `${link}.new`);
    renameSync(`${link}.new`, link);
  }
}
