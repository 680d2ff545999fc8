import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a self-signed certificate for 127.0.0.1. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
  /** Both in one file, as HAProxy wants it. */
  readonly both: string;
}

/** Makes one in a directory; needs `openssl`. */
export function makeCertificate(directory: string): Certificate {
  const key = join(directory, 'key.pem');
  const cert = join(directory, 'cert.pem');
  const both = join(directory, 'both.pem');
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  writeFileSync(both, Buffer.concat([readFileSync(cert), readFileSync(key)]));
  return { key, cert, both };
}
