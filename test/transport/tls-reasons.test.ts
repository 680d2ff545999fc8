import t from 'tap';
import { tlsReason } from '../../lib/transport/tls-reasons.js';

function reason(code: string): string | undefined {
  return tlsReason(Object.assign(new Error('error:0A000418:SSL routines::…'), { code }));
}

t.test("the peer's alerts in plain words, by the names of old and new versions of OpenSSL", async (t) => {
  const alerts: Record<string, string> = {
    TLSV13_ALERT_CERTIFICATE_REQUIRED: 'the peer demands a client certificate',
    TLSV1_ALERT_UNKNOWN_CA:
      'the peer does not accept the client certificate: it is from an authority that is unknown there',
    SSLV3_ALERT_CERTIFICATE_EXPIRED: 'the peer does not accept the client certificate: it has expired',
    'SSL/TLS_ALERT_CERTIFICATE_EXPIRED': 'the peer does not accept the client certificate: it has expired',
    'SSL/TLS_ALERT_CERTIFICATE_REVOKED':
      'the peer does not accept the client certificate: it has been revoked',
    SSLV3_ALERT_BAD_CERTIFICATE: 'the peer does not accept the client certificate, or demands one',
    SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'the peer does not accept the client certificate',
    TLSV1_ALERT_ACCESS_DENIED: 'the peer does not accept the client certificate',
    TLSV1_ALERT_INSUFFICIENT_SECURITY: 'the peer demands a stronger cipher suite',
    TLSV1_UNRECOGNIZED_NAME: 'the peer does not know the name that it was asked for',
    TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'the peer does not speak HTTP/2 (it did not choose "h2" by ALPN)',
    TLSV1_ALERT_INTERNAL_ERROR: 'the peer refused the handshake (internal_error)',
  };
  for (const [name, expected] of Object.entries(alerts)) t.equal(reason(`ERR_SSL_${name}`), expected);
});

t.test('checks that are not known have their code', async (t) => {
  t.equal(reason('ERR_SSL_SOMETHING_NEW'), 'the handshake failed (ERR_SSL_SOMETHING_NEW)');
  t.equal(reason('ERR_TLS_SOMETHING_NEW'), 'the handshake failed (ERR_TLS_SOMETHING_NEW)');
});

t.test("what is not TLS's has no reason", async (t) => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', '', 'constructor', '__proto__'])
    t.equal(reason(code), undefined);
  t.equal(tlsReason(new Error('without a code')), undefined);
});
