import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls, { type ConnectionOptions, type TlsOptions } from 'node:tls';
import type { Test } from 'tap';
import { Authority } from '../support/authority.js';
import { behaviour, type World } from '../support/behaviour.js';
import { cert as selfSigned, key as selfSignedKey } from '../support/certificate.js';
import { settings } from '../support/frame.js';
import { ProcessEvents } from '../support/process-events.js';
import { MESSAGE, METHOD, message } from '../support/unary.js';

const authority = new Authority();
const stranger = new Authority('stranger');
const AT_HOME = { name: 'backend', altNames: ['DNS:localhost'] };
const HOUR = 3_600_000;
const LONG_AGO = { from: new Date(Date.now() - 2 * HOUR), to: new Date(Date.now() - HOUR) };
const NOT_YET = { from: new Date(Date.now() + HOUR), to: new Date(Date.now() + 2 * HOUR) };
const ALPN = { ALPNProtocols: ['h2'] };
const PLAIN = authority.issue(AT_HOME);
const MUTUAL = { ...PLAIN, ...ALPN, ca: authority.cert, requestCert: true };
const MANY = Array.from({ length: 40 }, (_, i) => `DNS:n${i}.test`);

/** A TLS server, or cleartext without options; how it is dialled; and the status message, without `cannot connect to X: `. */
const CASES: Record<string, [server: TlsOptions | undefined, client: ConnectionOptions, expected: string]> = {
  'a certificate that has expired': [
    { ...authority.issue({ ...AT_HOME, ...LONG_AGO }), ...ALPN },
    {},
    'TLS: the certificate has expired',
  ],
  'a certificate that is not valid yet': [
    { ...authority.issue({ ...AT_HOME, ...NOT_YET }), ...ALPN },
    {},
    'TLS: the certificate is not valid yet',
  ],
  'a certificate of an unknown authority': [
    { ...stranger.issue(AT_HOME), ...ALPN },
    {},
    'TLS: the certificate is from an unknown authority',
  ],
  'a certificate of an unknown authority, which comes with it': [
    { ...withChain(stranger), ...ALPN },
    {},
    'TLS: the certificate is from an unknown authority',
  ],
  'a self-signed certificate': [
    { cert: selfSigned, key: selfSignedKey, ...ALPN },
    {},
    'TLS: the certificate is self-signed',
  ],
  'a certificate for another name': [
    {
      ...authority.issue({ name: 'x', altNames: ['DNS:a.test', 'IP:10.0.0.1', 'email:me@a.test'] }),
      ...ALPN,
    },
    {},
    'TLS: the certificate is for another name: not for "localhost", it is for "a.test", "10.0.0.1"',
  ],
  'a certificate for many other names': [
    { ...authority.issue({ name: 'x', altNames: MANY }), ...ALPN },
    { servername: 'other.test' },
    'TLS: the certificate is for another name: not for "other.test", it is for "n0.test", "n1.test", "n2.test", "n3.test" and 36 more',
  ],
  'a certificate for what no name may be': [
    { ...authority.issue({ name: 'x', altNames: [`DNS:\u001b[31m${'a'.repeat(200)}`] }), ...ALPN },
    {},
    `TLS: the certificate is for another name: not for "localhost", it is for "?[31m${'a'.repeat(95)}"`,
  ],
  'a certificate for a name in its subject': [
    { ...authority.issue({ name: 'subject.test' }), ...ALPN },
    {},
    'TLS: the certificate is for another name: not for "localhost", it is for "subject.test"',
  ],
  'a certificate for no host': [
    { ...authority.issue({ name: '', altNames: ['URI:spiffe://a/b'] }), ...ALPN },
    {},
    'TLS: the certificate is for another name: not for "localhost", it names no host',
  ],
  'no HTTP/2': [
    { ...PLAIN, ALPNProtocols: ['http/1.1'] },
    {},
    'TLS: the peer does not speak HTTP/2 (it did not choose "h2" by ALPN)',
  ],
  'no ALPN': [PLAIN, {}, 'TLS: the peer does not speak HTTP/2 (it did not choose "h2" by ALPN)'],
  'no TLS': [undefined, {}, 'TLS: the peer does not speak TLS'],
  'an older version of TLS': [
    { ...PLAIN, ...ALPN, maxVersion: 'TLSv1.2' },
    { minVersion: 'TLSv1.3' },
    'TLS: the peer speaks no version of TLS that is allowed here',
  ],
  'a newer version of TLS': [
    { ...PLAIN, ...ALPN, minVersion: 'TLSv1.3' },
    { maxVersion: 'TLSv1.2' },
    'TLS: the peer speaks no version of TLS that is allowed here',
  ],
  'a client certificate that is demanded': [MUTUAL, {}, 'TLS: the peer demands a client certificate'],
  'a client certificate that is demanded by TLS 1.2': [
    { ...MUTUAL, maxVersion: 'TLSv1.2' },
    {},
    'TLS: the peer refused the handshake: nothing on offer suits it, or it demands a client certificate',
  ],
  'a client certificate that is not accepted': [
    MUTUAL,
    stranger.issue({ name: 'client' }),
    'the peer closed it before it sent HTTP/2 SETTINGS: it may not accept the client certificate',
  ],
  'a client certificate that is not accepted by TLS 1.2': [
    { ...MUTUAL, maxVersion: 'TLSv1.2' },
    authority.issue({ name: 'client', ...LONG_AGO }),
    'the peer closed it before it was established: it may not accept the client certificate',
  ],
  "a certificate that the application's check refuses": [
    { ...PLAIN, ...ALPN },
    { checkServerIdentity: () => new Error('/etc/secret says no') },
    "TLS: the application's check has refused the certificate",
  ],
  "an application's check that throws": [
    { ...PLAIN, ...ALPN },
    {
      checkServerIdentity: () => {
        throw new Error('/etc/secret is broken');
      },
    },
    "TLS: the application's check has refused the certificate",
  ],
  "an application's check that answers later": [
    { ...PLAIN, ...ALPN },
    { checkServerIdentity: async () => Promise.reject(new Error('later')) } as object,
    "TLS: the application's check has refused the certificate",
  ],
};

for (const [name, [server, client, expected]] of Object.entries(CASES)) {
  behaviour(`TLS fails by ${name}: the status says so, in plain words`, async (t, world) => {
    const events = new ProcessEvents(t);
    const port = server === undefined ? await cleartext(world) : await tlsServer(t, server);
    const target = `https://localhost:${port}`;
    const conn = world.dial(target, { tls: { ca: authority.cert, ...client } });
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
    t.equal(decodeURIComponent(message(response) ?? ''), `cannot connect to ${target}: ${expected}`);
    await events.settled();
    t.strictSame(events.fatal, []);
  });
}

async function cleartext(world: World): Promise<number> {
  const { port } = await world.frameBackend((connection) => connection.send(settings()));
  return port;
}

async function tlsServer(t: Test, options: TlsOptions): Promise<number> {
  const server = tls.createServer(options, (socket) => socket.on('error', () => {}));
  server.on('tlsClientError', () => {});
  server.listen(0);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

function withChain(of: Authority): { cert: string; key: string } {
  const { cert, key } = of.issue(AT_HOME);
  return { cert: cert + of.cert, key };
}
