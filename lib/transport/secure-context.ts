import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import tls, { type SecureContext, type SecureContextOptions } from 'node:tls';
import { ownError, shown, wrongType } from '../port/errors.js';

/** TLS cannot be spoken by these options. */
export class SecureContextError extends Error {
  override readonly name = 'SecureContextError';
  readonly code = 'ERR_TLS_OPTIONS';
  /** The one that is wrong: `cert`, `key`, `ca`, …; undefined where Node does not say. */
  readonly option: string | undefined;
  /** What is wrong with it, in plain words, to go on after its name. */
  readonly problem: string;

  constructor(option: string | undefined, problem: string, cause?: unknown) {
    super(`${option === undefined ? 'tls' : `tls.${option}`} ${problem}`, { cause });
    this.option = option;
    this.problem = problem;
  }
}

/** The names of {@link SecureContextOptions}; what ALPN may choose is fixed. */
const OPTIONS: Readonly<Record<Exclude<keyof SecureContextOptions, 'ALPNCallback'>, true>> = {
  allowPartialTrustChain: true,
  ca: true,
  cert: true,
  certificateCompression: true,
  ciphers: true,
  clientCertEngine: true,
  crl: true,
  dhparam: true,
  ecdhCurve: true,
  honorCipherOrder: true,
  key: true,
  maxVersion: true,
  minVersion: true,
  passphrase: true,
  pfx: true,
  privateKeyEngine: true,
  privateKeyIdentifier: true,
  secureOptions: true,
  secureProtocol: true,
  sessionIdContext: true,
  sessionTimeout: true,
  sigalgs: true,
  ticketKeys: true,
};

/**
 * The options that hold from now on. What is not given stays as it is: who renews a certificate must not lose the
 * authorities that clients are checked by, and with them the check, for Node would trust every public one in their place.
 *
 * @throws TypeError for what is no option of a context (`requestCert`, say, which is fixed)
 */
export function renewedOptions<T extends SecureContextOptions>(options: T, given: SecureContextOptions): T {
  if (typeof given !== 'object' || given === null) {
    throw wrongType('options', 'an object', given);
  }
  const renewed: T = { ...options };
  // Each of them is a whole identity.
  if (given.pfx !== undefined) {
    delete renewed.key;
    delete renewed.cert;
  } else if (given.key !== undefined || given.cert !== undefined) {
    delete renewed.pfx;
  }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(OPTIONS, name)) {
      throw ownError('ERR_UNKNOWN_OPTION', `setSecureContext takes no option ${shown(name)}`);
    }
    if (value !== undefined) Object.assign(renewed, { [name]: value });
  }
  return renewed;
}

/**
 * What Node makes of TLS options, once they have been looked at: Node takes a key of another kind than its certificate,
 * and authorities that are none, and then no handshake succeeds; and it calls what it does not take by OpenSSL's names.
 *
 * @throws SecureContextError
 */
export function createSecureContext(options: SecureContextOptions): SecureContext {
  checkIdentity(options);
  for (const ca of listOf('ca', options.ca)) certificatesIn('ca', ca);
  try {
    return tls.createSecureContext(options);
  } catch (error) {
    if (options.pfx !== undefined) throw new SecureContextError('pfx', 'cannot be read', error);
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new SecureContextError(undefined, `has an option that TLS does not take (${code})`, error);
  }
}

function checkIdentity({ cert, key, passphrase, privateKeyIdentifier }: SecureContextOptions): void {
  const leaves = listOf('cert', cert).map((chain) => certificatesIn('cert', chain)[0]!);
  const keys = listOf('key', key).map((each) => privateKeyIn(each, passphrase));
  // Another process, or a device, has it.
  if (privateKeyIdentifier !== undefined) return;
  if (leaves.length > 0 && keys.length === 0) {
    throw new SecureContextError('key', 'is missing: there is a certificate');
  }
  if (keys.length > 0 && leaves.length === 0) {
    throw new SecureContextError('cert', 'is missing: there is a private key');
  }
  for (const leaf of leaves) {
    if (!keys.some((each) => leaf.checkPrivateKey(each))) {
      throw new SecureContextError('key', 'does not belong to the certificate');
    }
  }
}

function listOf<T>(option: string, value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return [value as T];
  // No authorities, to Node, are none; but undefined, or '', are those of the system.
  if (value.length === 0) throw new SecureContextError(option, 'is an empty list');
  return value;
}

const CERTIFICATE_BEGINS = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g;
const CERTIFICATE =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----/gs;

/** At least one. */
function certificatesIn(option: string, value: unknown): X509Certificate[] {
  const pem = textOf(option, value);
  const blocks = pem.match(CERTIFICATE) ?? [];
  if ((pem.match(CERTIFICATE_BEGINS) ?? []).length > blocks.length) {
    throw new SecureContextError(option, 'ends in the middle of a certificate');
  }
  if (blocks.length === 0) throw new SecureContextError(option, 'holds no certificate in PEM');
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new SecureContextError(option, 'holds a certificate that cannot be read', error);
    }
  });
}

const PRIVATE_KEY_BEGINS = /-----BEGIN (?:[A-Z0-9]+ )?PRIVATE KEY-----/;

function privateKeyIn(value: unknown, passphrase: string | undefined): KeyObject {
  const own = typeof value === 'object' && value !== null && 'pem' in value ? value : { pem: value };
  const pem = textOf('key', own.pem);
  if (!PRIVATE_KEY_BEGINS.test(pem)) throw new SecureContextError('key', 'holds no private key in PEM');
  const phrase = ('passphrase' in own ? (own.passphrase as string | undefined) : undefined) ?? passphrase;
  try {
    return createPrivateKey({ key: pem, ...(phrase === undefined ? {} : { passphrase: phrase }) });
  } catch (error) {
    // What OpenSSL says of it depends on its version, the key's form and chance: padding can look right.
    const isEncrypted = pem.includes('ENCRYPTED');
    const problem = !isEncrypted
      ? 'holds a private key that cannot be read'
      : phrase === undefined
        ? 'is encrypted, and there is no passphrase'
        : 'cannot be decrypted by the passphrase';
    throw new SecureContextError('key', problem, error);
  }
}

function textOf(option: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (ArrayBuffer.isView(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
  }
  throw new SecureContextError(
    option,
    `must be PEM, as text or bytes, not ${value === null ? 'null' : typeof value}`,
  );
}
