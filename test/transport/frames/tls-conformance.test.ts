import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { isAdequate } from '../../../lib/transport/frames/tls-rules.js';
import { cert, key } from '../../support/certificate.js';
import { ErrorCode, FrameType } from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Call, Echo, startClient, startServer } from './fixtures.js';

/** RFC 9113 section 9.2: what HTTP/2 asks of TLS. */

const PROHIBITED = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' } as const;
const PERMITTED = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' } as const;

async function connect(t: Test, port: number, options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port, host: 'localhost', ca: cert, ALPNProtocols: ['h2'], ...options });
  t.teardown(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

async function tlsServer(t: Test, options: tls.TlsOptions) {
  const server = tls.createServer({ key, cert, ALPNProtocols: ['h2'], ...options });
  const accepted = once(server, 'secureConnection') as Promise<[tls.TLSSocket]>;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { accepted, target: { host: 'localhost', port: (server.address() as AddressInfo).port } };
}

t.test('RFC 9113 section 9.2.2: a prohibited cipher suite of TLS 1.2', async (t) => {
  const { address } = await startServer(t, Echo, { tls: { key, cert, ciphers: PROHIBITED.ciphers } });
  const peer = new FramePeer(await connect(t, address.port, PROHIBITED), 'client');
  t.equal(await peer.goAwayCode(), ErrorCode.INADEQUATE_SECURITY);
});

t.test('RFC 9113 section 9.2.2: a cipher suite of TLS 1.2 that is not prohibited is legal', async (t) => {
  const { address } = await startServer(t, Echo, { tls: { key, cert } });
  const peer = new FramePeer(await connect(t, address.port, PERMITTED), 'client');
  await peer.nextOf(0, FrameType.SETTINGS);
  t.strictSame(peer.objections, []);
});

t.test('client, RFC 9113 section 9.2.2: a prohibited cipher suite of TLS 1.2', async (t) => {
  const { accepted, target } = await tlsServer(t, PROHIBITED);
  const call = new Call(startClient(t, target, { tls: { ca: cert, ciphers: PROHIBITED.ciphers } }));
  const peer = new FramePeer((await accepted)[0], 'server');
  t.match((await call.done()).end, {
    cause: 'tls',
    text: 'TLS: the version or cipher suite is one that HTTP/2 prohibits',
  });
  t.equal(await peer.goAwayCode(), ErrorCode.INADEQUATE_SECURITY);
});

t.test(
  'client, RFC 9113 section 9.2.2: a cipher suite of TLS 1.2 that is not prohibited is legal',
  async (t) => {
    const { accepted, target } = await tlsServer(t, PERMITTED);
    new Call(startClient(t, target, { tls: { ca: cert } }));
    const peer = await new FramePeer((await accepted)[0], 'server').exchangePrefaces();
    await peer.nextHeaders(1);
    t.strictSame(peer.objections, []);
  },
);

for (const [protocol, standardName, adequate] of [
  ['TLSv1.3', 'TLS_AES_128_GCM_SHA256', true],
  ['TLSv1.2', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', true],
  ['TLSv1.2', 'TLS_DHE_RSA_WITH_AES_256_CCM_8', true],
  ['TLSv1.2', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', true],
  ['TLSv1.2', 'TLS_RSA_WITH_AES_128_GCM_SHA256', false],
  ['TLSv1.2', 'TLS_DH_anon_WITH_AES_256_GCM_SHA384', false],
  ['TLSv1.2', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256', false],
  ['TLSv1.2', 'TLS_ECDHE_ECDSA_WITH_NULL_SHA', false],
  ['TLSv1.1', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', false],
] as const) {
  t.test(
    `RFC 9113 section 9.2: ${protocol} with ${standardName} is ${adequate ? 'legal' : 'not'}`,
    async (t) => {
      const socket = { getProtocol: () => protocol, getCipher: () => ({ standardName }) };
      t.equal(isAdequate(socket as unknown as tls.TLSSocket), adequate);
    },
  );
}

t.test('RFC 9113 section 9.2.1: a renegotiation ends the connection', async (t) => {
  const { address } = await startServer(t, Echo, { tls: { key, cert } });
  const socket = await connect(t, address.port, PERMITTED);
  const peer = new FramePeer(socket, 'client');
  await peer.nextOf(0, FrameType.SETTINGS);
  socket.renegotiate({}, () => {});
  await peer.closed;
  const other = new FramePeer(await connect(t, address.port, {}), 'client');
  await other.nextOf(0, FrameType.SETTINGS);
  t.pass('and the server goes on');
});

t.test('a connection that was in the TLS handshake when the server was destroyed is closed', async (t) => {
  const { transport, address } = await startServer(t, Echo, { tls: { key, cert } });
  const raw = net.connect(address.port, address.host);
  t.teardown(() => raw.destroy());
  await once(raw, 'connect');
  // The server accepts it in this turn of the event loop or the next.
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
  transport.destroy();
  const socket = tls.connect({ socket: raw, servername: 'localhost', ca: cert, ALPNProtocols: ['h2'] });
  socket.on('error', () => {});
  const what = await new Promise((resolve) => {
    socket.once('close', () => resolve('closed'));
    socket.once('data', () => resolve('served'));
  });
  t.equal(what, 'closed');
});
