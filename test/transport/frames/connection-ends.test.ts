import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import type { DialAddress } from '../../../lib/port/address.js';
import type { ConnectionEnd } from '../../../lib/port/connection-end.js';
import { cert, key } from '../../support/certificate.js';
import { data, ErrorCode, Flag, FrameType, frame, goAway, settings } from '../../support/frame.js';
import type { FramePeer } from '../../support/frame-peer.js';
import { freePort } from '../../support/free-port.js';
import { Call, type ClientOptions, startBackend, startClient } from './fixtures.js';
import { openCall, openIncoming } from './stream-cases.js';

/** Why connections end, as their owners and streams are told. */

async function failedEnd(t: Test, address: DialAddress, options: ClientOptions = {}): Promise<ConnectionEnd> {
  const client = startClient(t, address, options);
  const call = await new Call(client).done();
  t.equal(await client.connections[0]!.ended, call.end);
  return call.end!;
}

/** The port of a TLS server that takes whatever its options say. */
async function tlsPort(t: Test, options: tls.TlsOptions): Promise<number> {
  const server = tls.createServer({ key, cert, ALPNProtocols: ['h2'], ...options }, (socket) => {
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

t.test('a refused connection', async (t) => {
  const end = await failedEnd(t, { host: '127.0.0.1', port: await freePort() });
  t.match(end, { cause: 'connect', code: 0, text: 'connection refused', error: { code: 'ECONNREFUSED' } });
});

t.test('a unix socket that is not there', async (t) => {
  t.match(await failedEnd(t, { path: '/nonexistent/socket' }), {
    cause: 'connect',
    text: 'there is no such socket',
    error: { code: 'ENOENT' },
  });
});

t.test('a peer that never sends SETTINGS', async (t) => {
  const server = await startBackend(t);
  const end = await failedEnd(t, server.target, { limits: { connectTimeoutMilliseconds: 30 } });
  t.match(end, { cause: 'settings', text: /SETTINGS within 30 ms/ });
});

t.test('a peer that closes where SETTINGS are due', async (t) => {
  const server = await startBackend(t, ({ socket }) => void socket.end());
  t.match(await failedEnd(t, server.target), { cause: 'settings', text: /closed it before it sent HTTP\/2/ });
});

t.test('a peer that speaks another protocol', async (t) => {
  const server = await startBackend(t, ({ socket }) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  t.match(await failedEnd(t, server.target), {
    cause: 'settings',
    code: ErrorCode.PROTOCOL_ERROR,
    text: /does not speak HTTP\/2 .*first frame is not SETTINGS/,
  });
});

t.test('TLS: a certificate that is self-signed', async (t) => {
  const address = { host: 'localhost', port: await tlsPort(t, {}) };
  t.match(await failedEnd(t, address, { tls: {} }), {
    cause: 'tls',
    text: 'TLS: the certificate is self-signed',
  });
});

t.test('TLS: a certificate for another name', async (t) => {
  const address = { host: 'localhost', port: await tlsPort(t, {}) };
  t.match(await failedEnd(t, address, { tls: { ca: cert, servername: 'elsewhere' } }), {
    cause: 'tls',
    text: 'TLS: the certificate is for another name: not for "elsewhere", it is for "backend.test", "localhost"',
  });
});

t.test('TLS: a peer that does not choose h2', async (t) => {
  const address = { host: 'localhost', port: await tlsPort(t, { ALPNProtocols: [] }) };
  t.match(await failedEnd(t, address, { tls: { ca: cert } }), { cause: 'tls', text: /ALPN/ });
});

t.test('TLS: a peer that does not speak it', async (t) => {
  const server = await startBackend(t, ({ socket }) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  t.match(await failedEnd(t, server.target, { tls: { ca: cert } }), {
    cause: 'tls',
    text: /does not speak TLS/,
  });
});

/** What a peer does on a connection with one call, and how both are told. */
const lost: readonly [
  name: string,
  act: (peer: FramePeer) => void,
  end: object,
  by: 'peer' | 'local',
  options?: ClientOptions,
][] = [
  [
    'the peer closes it',
    (peer) => peer.socket.end(),
    { cause: 'closed', code: 0, text: 'the peer closed it' },
    'peer',
  ],
  [
    'the peer resets TCP',
    (peer) => peer.socket.resetAndDestroy(),
    { cause: 'reset', text: 'it was reset by the peer', error: { code: 'ECONNRESET' } },
    'peer',
  ],
  [
    'the peer closes it after GOAWAY',
    (peer) => {
      peer.send(goAway(1, 0));
      peer.socket.end();
    },
    { cause: 'closed', code: 0, text: 'GOAWAY NO_ERROR', error: undefined },
    'peer',
  ],
  [
    'GOAWAY with an error code and debug data',
    (peer) =>
      peer.send(
        frame(
          FrameType.GOAWAY,
          0,
          0,
          Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 11]), Buffer.from('too_many_pings\u0007')]),
        ),
      ),
    {
      cause: 'goaway',
      code: ErrorCode.ENHANCE_YOUR_CALM,
      text: 'GOAWAY ENHANCE_YOUR_CALM, "too_many_pings?"',
    },
    'peer',
  ],
  [
    'the peer breaks the protocol',
    (peer) => peer.send(data(0, '00')),
    { cause: 'protocol', code: ErrorCode.PROTOCOL_ERROR, text: 'PROTOCOL_ERROR: DATA on stream 0' },
    'local',
  ],
  [
    'the peer answers no PING',
    () => {},
    { cause: 'keepalive', code: 0, text: /keepalive/ },
    'peer',
    {
      limits: {
        keepalive: { timeMilliseconds: 20, timeoutMilliseconds: 20 },
      },
    },
  ],
  [
    'the peer does not finish a field block',
    (peer) => peer.send(frame(FrameType.HEADERS, 0, 1, '88')),
    { cause: 'protocol', code: ErrorCode.ENHANCE_YOUR_CALM, text: /a frame not finished/ },
    'local',
    { limits: { frameTimeoutMilliseconds: 30 } },
  ],
];

for (const [name, act, end, by, options] of lost) {
  t.test(`${name}: the owner is told why, and the stream before`, async (t) => {
    const { call, peer, transport } = await openCall(t, true, options);
    const [{ ended, connection }] = transport.connections as [(typeof transport.connections)[0]];
    let streamsTold = 0;
    const told = ended.then(() => {
      streamsTold = call.events.length;
    });
    act(peer);
    t.match(await ended, end);
    await told;
    t.equal(streamsTold, 1);
    t.match(call.reset, { code: ErrorCode.CANCEL, by, text: undefined, lost: end });
    t.match(connection, { hasRoom: false, streamCount: 0 });
  });
}

t.test('the debug data of a GOAWAY is cut', async (t) => {
  const { call, peer } = await openCall(t);
  const payload = Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 2]), Buffer.alloc(16_000, 'x')]);
  peer.send(frame(FrameType.GOAWAY, 0, 0, payload));
  await call.done();
  t.ok(call.reset!.lost!.text.length < 300);
});

t.test('SETTINGS that are never acknowledged', async (t) => {
  const server = await startBackend(t);
  const client = startClient(t, server.target, { limits: { settingsTimeoutMilliseconds: 20 } });
  const call = new Call(client);
  const peer = await server.accept();
  peer.send(settings());
  await call.done();
  t.match(call.reset?.lost, { cause: 'protocol', code: ErrorCode.SETTINGS_TIMEOUT });
});

const lostByClients: readonly [name: string, act: (peer: FramePeer) => void, end: object][] = [
  ['closes', (peer) => peer.socket.end(), { cause: 'closed', text: 'the peer closed it' }],
  ['resets TCP', (peer) => peer.socket.resetAndDestroy(), { cause: 'reset', error: { code: 'ECONNRESET' } }],
  [
    'closes after GOAWAY with an error code',
    (peer) => {
      peer.send(goAway(0, ErrorCode.FRAME_SIZE_ERROR));
      peer.socket.end();
    },
    { cause: 'goaway', code: ErrorCode.FRAME_SIZE_ERROR, text: 'GOAWAY FRAME_SIZE_ERROR' },
  ],
  [
    'breaks the protocol',
    (peer) => peer.send(data(7, '00', Flag.END_STREAM)),
    { cause: 'protocol', code: ErrorCode.PROTOCOL_ERROR, text: 'PROTOCOL_ERROR: DATA on an idle stream' },
  ],
];

for (const [name, act, end] of lostByClients) {
  t.test(`a client that ${name}: its streams are told why`, async (t) => {
    const { recorder, peer } = await openIncoming(t, true);
    act(peer);
    await recorder.done();
    t.match(recorder.reset, { code: ErrorCode.CANCEL, lost: end });
  });
}

t.test('a receiver that throws when its connection is lost keeps nobody else from being told', async (t) => {
  const { call, peer, transport } = await openCall(t);
  const other = new Call(transport);
  await peer.nextHeaders(3);
  call.onReset = () => {
    throw new Error('a bug');
  };
  peer.destroy();
  await other.done();
  t.ok(other.isLost);
  t.equal((await transport.connections[0]!.ended).cause, 'closed');
});
