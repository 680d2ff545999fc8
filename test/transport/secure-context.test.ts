import { generateKeyPairSync } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import t from 'tap';
import {
  createSecureContext,
  renewedOptions,
  SecureContextError,
} from '../../lib/transport/secure-context.js';
import { Authority } from '../support/authority.js';

const authority = new Authority();
const first = authority.issue({ name: 'first' });
const second = authority.issue({ name: 'second', keyType: 'rsa' });
const encrypted = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'right' },
}).privateKey;
const broken = authority.cert.replace('MII', 'MIX');

t.test('what Node takes is taken', async (t) => {
  const options: SecureContextOptions[] = [
    {},
    first,
    { cert: Buffer.from(first.cert), key: Buffer.from(first.key), ca: [Buffer.from(authority.cert)] },
    { cert: [first.cert, second.cert], key: [second.key, first.key] },
    { cert: first.cert + authority.cert, key: [{ pem: first.key }] },
    { cert: `text before\n${first.cert}${first.key}`, key: first.cert + first.key },
    { ca: authority.cert + first.cert },
    { minVersion: 'TLSv1.3', ciphers: undefined },
  ];
  for (const each of options) t.ok(createSecureContext(each).context);
});

t.test('what is of no use is told by its option', async (t) => {
  const cases: [SecureContextOptions, option: string | undefined, problem: string][] = [
    // Node takes it, and then no client finds a cipher suite.
    [{ cert: first.cert, key: second.key }, 'key', 'does not belong to the certificate'],
    [{ cert: [first.cert, second.cert], key: first.key }, 'key', 'does not belong to the certificate'],
    [{ ...first, key: encrypted }, 'key', 'is encrypted, and there is no passphrase'],
    [{ ...first, key: encrypted, passphrase: 'wrong' }, 'key', 'cannot be decrypted by the passphrase'],
    [
      { ...first, key: { pem: encrypted, passphrase: 'right' } as never },
      'key',
      'does not belong to the certificate',
    ],
    [{ ...first, key: first.cert }, 'key', 'holds no private key in PEM'],
    [{ ...first, cert: first.key }, 'cert', 'holds no certificate in PEM'],
    // Node takes the first one, and leaves the other.
    [{ ca: authority.cert + broken }, 'ca', 'holds a certificate that cannot be read'],
    [{ ca: authority.cert + authority.cert.slice(0, 200) }, 'ca', 'ends in the middle of a certificate'],
    [{ ca: null as never }, 'ca', 'must be PEM, as text or bytes, not null'],
    [{ pfx: Buffer.from('nonsense') }, 'pfx', 'cannot be read'],
    [
      { minVersion: 'TLSv9' as never },
      undefined,
      'has an option that TLS does not take (ERR_TLS_INVALID_PROTOCOL_VERSION)',
    ],
  ];
  for (const [options, option, problem] of cases) {
    const expected = {
      option,
      problem,
      message: `tls${option === undefined ? '' : `.${option}`} ${problem}`,
    };
    t.throws(() => createSecureContext(options), expected);
    t.throws(() => createSecureContext(options), SecureContextError);
  }
});

t.test('an identity that is renewed takes the place of one of the other form', async (t) => {
  const pfx = Buffer.from('pfx');
  const rest = { ca: authority.cert, minVersion: 'TLSv1.3' as const };
  t.strictSame(renewedOptions({ ...rest, ...first }, { pfx }), { ...rest, pfx });
  t.strictSame(renewedOptions({ ...rest, pfx }, second), { ...rest, ...second });
  t.strictSame(renewedOptions({ ...rest, ...first }, { cert: 'renewed', ca: undefined }), {
    ...rest,
    ...first,
    cert: 'renewed',
  });
});
