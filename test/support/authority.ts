import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import net from 'node:net';

/** A certificate and its private key, in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate is to say. */
export interface CertificateOptions {
  /** The subject's common name. */
  readonly name: string;
  /** `DNS:…`, `IP:…` (version 4), `URI:…` and `email:…`; none by default. */
  readonly altNames?: readonly string[];
  /** By default from an hour ago until in an hour. */
  readonly from?: Date;
  readonly to?: Date;
  readonly keyType?: 'ec' | 'rsa';
}

const HOUR = 3_600_000;

/** Makes certificates, by RFC 5280 and no more of it than TLS needs; of use in tests only. */
export class Authority {
  /** In PEM. */
  readonly cert: string;
  readonly #name: string;
  readonly #key: KeyObject;

  constructor(name = 'authority') {
    this.#name = name;
    const { publicKey, privateKey } = newKeys('ec');
    this.#key = privateKey;
    this.cert = this.#certificate({ name }, publicKey, true);
  }

  /** A new key, and a certificate for it. */
  issue(options: CertificateOptions): Identity {
    const { publicKey, privateKey } = newKeys(options.keyType ?? 'ec');
    return {
      cert: this.#certificate(options, publicKey, false),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  }

  #certificate(options: CertificateOptions, publicKey: KeyObject, isAuthority: boolean): string {
    const { from = new Date(Date.now() - HOUR), to = new Date(Date.now() + HOUR), altNames = [] } = options;
    const algorithm = sequence(oid('2a8648ce3d040302'));
    const extensions = [extension('551d13', sequence(...(isAuthority ? [TRUE] : [])), true)];
    if (altNames.length > 0) extensions.push(extension('551d11', sequence(...altNames.map(generalName))));
    const body = sequence(
      der(0xa0, integer(Buffer.from([2]))),
      integer(Buffer.concat([Buffer.from([0x40]), randomBytes(15)])),
      algorithm,
      commonName(this.#name),
      sequence(time(from), time(to)),
      commonName(options.name),
      publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', body, this.#key);
    const certificate = sequence(body, algorithm, der(0x03, Buffer.from([0]), signature));
    const lines = certificate.toString('base64').match(/.{1,64}/g)!;
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }
}

function newKeys(type: 'ec' | 'rsa'): { publicKey: KeyObject; privateKey: KeyObject } {
  return type === 'ec'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
}

/** A tag, a length, and a value (ITU-T X.690). */
function der(tag: number, ...values: readonly Buffer[]): Buffer {
  const value = Buffer.concat(values);
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(value.length);
  return Buffer.concat([Buffer.from([tag, 0x82]), length, value]);
}

const TRUE = der(0x01, Buffer.from([0xff]));

function sequence(...values: readonly Buffer[]): Buffer {
  return der(0x30, ...values);
}

function integer(value: Buffer): Buffer {
  return der(0x02, value);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits));
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [TRUE] : []), der(0x04, value));
}

function generalName(text: string): Buffer {
  const [kind, value] = [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)];
  if (kind === 'IP') {
    if (!net.isIPv4(value)) throw new Error(`${value} is no IPv4 address`);
    return der(0x87, Buffer.from(value.split('.').map(Number)));
  }
  const tag = { email: 0x81, DNS: 0x82, URI: 0x86 }[kind];
  if (tag === undefined) throw new Error(`${text} is no name`);
  return der(tag, Buffer.from(value));
}
