import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo, type Socket } from 'node:net';
import { setTimeout as pass } from 'node:timers/promises';
import tls, { type ConnectionOptions } from 'node:tls';
import t from 'tap';
import { encodeMessage, type RefusedPeer, Server, type ServerOptions } from '../../lib/index.js';
import { Authority } from '../support/authority.js';
import { waitingBehaviour as behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import {
  CLIENT_PREFACE,
  data,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  headers,
  PING,
  resetStream,
  settings,
} from '../support/frame.js';
import { FramePeer } from '../support/frame-peer.js';
import { ProcessEvents } from '../support/process-events.js';
import { METHOD } from '../support/unary.js';
import { resetConnection } from '../support/wire.js';

const authority = new Authority();
const home = authority.issue({ name: 'home', altNames: ['DNS:localhost'] });
const member = authority.issue({ name: 'member' });
const SECURE = { tls: home } as const;
const MUTUAL = { tls: { ...home, ca: authority.cert, requestCert: true } } as const;
const HTTP_1 = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const MANY = Array.from({ length: 200 });

/** A server that answers nothing, and what it tells of those that it refuses. */
async function refusing(world: World, options: ServerOptions = {}) {
  const refusals: RefusedPeer[] = [];
  const { server, port } = await world.serve({
    unknownServiceHandler: () => new Promise(() => {}),
    observer: { onPeerRefused: (refusal) => void refusals.push(refusal) },
    ...options,
  });
  return { server, port, refusals };
}

/** A client's connection, and the address that it has. */
interface Attempt {
  readonly socket: Socket;
  readonly address: string;
}

async function connect(port: number): Promise<Attempt> {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'connect');
  return { socket, address: `127.0.0.1:${socket.localPort}` };
}

/** By TLS; its handshake may not be done yet, or never be. */
async function connectTls(port: number, options: ConnectionOptions = {}): Promise<Attempt> {
  const under = await connect(port);
  const socket = tls.connect({
    socket: under.socket,
    servername: 'localhost',
    ca: authority.cert,
    ALPNProtocols: ['h2'],
    ...options,
  });
  socket.on('error', () => {});
  socket.resume();
  return { socket, address: under.address };
}

/** A client that sends this, on TCP. */
function says(...what: readonly (string | Buffer)[]) {
  return async (port: number): Promise<Attempt> => {
    const attempt = await connect(port);
    attempt.socket.write(Buffer.concat(what.map((each) => Buffer.from(each))));
    return attempt;
  };
}

function shakesHands(options: ConnectionOptions = {}) {
  return (port: number): Promise<Attempt> => connectTls(port, options);
}

/** HEADERS without an end, and so many CONTINUATION frames. */
function endlessBlock(count: number): Buffer {
  const parts = Array.from({ length: count }, () => frame(FrameType.CONTINUATION, 0, 1, '82'));
  return Buffer.concat([headers(1, requestTo(METHOD), 0), ...parts]);
}

/** More than nghttp2 answers to a client that reads no answer, and more than the limit. */
const FLOOD = Buffer.concat(Array.from({ length: 5000 }, () => settings()));

interface Case {
  readonly name: string;
  readonly options?: ServerOptions;
  readonly attempt: (port: number) => Promise<Attempt>;
  readonly reason: RefusedPeer['reason'];
  readonly text: string | RegExp | Readonly<Record<'http2' | 'frames', string | RegExp>>;
}

const NODE_SAYS =
  /^PROTOCOL_ERROR: node:http2 (reports "Protocol error"|ended the session over what the peer sent)$/;
const NO_ALPN = 'TLS: the peer does not speak HTTP/2 (it did not offer "h2" by ALPN)';
const NO_PREFACE = 'PROTOCOL_ERROR: invalid connection preface';
const LATE = 'ENHANCE_YOUR_CALM: no SETTINGS in time';
/** node:http2 does not tell it. */
const UNKNOWN = '';
const QUICK = { handshakeTimeoutMilliseconds: 100 };

const CASES: readonly Case[] = [
  {
    name: 'HTTP/1.1 in place of the preface',
    attempt: says(HTTP_1),
    reason: 'not_http2',
    text: NO_PREFACE,
  },
  {
    name: 'TLS where none is spoken',
    attempt: shakesHands(),
    reason: 'not_http2',
    text: NO_PREFACE,
  },
  {
    name: 'TLS without ALPN',
    options: SECURE,
    attempt: shakesHands({ ALPNProtocols: [] }),
    reason: 'not_http2',
    text: NO_ALPN,
  },
  {
    name: 'TLS with another protocol by ALPN',
    options: SECURE,
    attempt: shakesHands({ ALPNProtocols: ['http/1.1'] }),
    reason: 'not_http2',
    text: NO_ALPN,
  },
  {
    name: 'a first frame that is not SETTINGS',
    attempt: says(CLIENT_PREFACE, PING),
    reason: 'malformed',
    text: { frames: 'PROTOCOL_ERROR: the first frame is not SETTINGS', http2: NODE_SAYS },
  },
  {
    name: 'a PING of 7 octets',
    attempt: says(CLIENT_PREFACE, settings(), frame(FrameType.PING, 0, 0, '01020304050607')),
    reason: 'malformed',
    text: { frames: 'FRAME_SIZE_ERROR: PING of another length than 8', http2: NODE_SAYS },
  },
  {
    name: 'a field block that cannot be decompressed',
    attempt: says(CLIENT_PREFACE, settings(), frame(FrameType.HEADERS, Flag.END_HEADERS, 1, 'ff ff ff')),
    reason: 'malformed',
    text: { frames: /^COMPRESSION_ERROR: /, http2: NODE_SAYS },
  },
  {
    name: 'HTTP where TLS is spoken',
    options: SECURE,
    attempt: says(HTTP_1),
    reason: 'tls',
    text: 'TLS: the peer does not speak TLS',
  },
  {
    name: 'HTTP/2 where TLS is spoken',
    options: SECURE,
    attempt: says(CLIENT_PREFACE, settings()),
    reason: 'tls',
    text: 'TLS: the peer does not speak TLS',
  },
  {
    name: 'a version of TLS that is too old',
    options: { tls: { ...home, minVersion: 'TLSv1.3' } },
    attempt: shakesHands({ maxVersion: 'TLSv1.2' }),
    reason: 'tls',
    text: 'TLS: the peer speaks no version of TLS that is allowed here',
  },
  {
    name: 'no client certificate where one is demanded',
    options: MUTUAL,
    attempt: shakesHands(),
    reason: 'tls',
    text: 'TLS: the peer shows no certificate, and one is demanded',
  },
  {
    name: 'a client certificate of an unknown authority',
    options: MUTUAL,
    attempt: shakesHands(new Authority('stranger').issue({ name: 'member' })),
    reason: 'tls',
    text: 'TLS: the certificate is from an unknown authority',
  },
  {
    name: 'a client certificate that has expired',
    options: MUTUAL,
    attempt: shakesHands(authority.issue({ name: 'member', from: new Date(0), to: new Date(1e9) })),
    reason: 'tls',
    text: 'TLS: the certificate has expired',
  },
  {
    name: 'a field block without an end',
    attempt: says(CLIENT_PREFACE, settings(), endlessBlock(100)),
    reason: 'flood',
    text: 'ENHANCE_YOUR_CALM: too many CONTINUATION frames',
  },
  {
    name: 'SETTINGS without an end',
    attempt: async (port) => {
      const attempt = await says(CLIENT_PREFACE)(port);
      attempt.socket.pause();
      attempt.socket.write(FLOOD);
      return attempt;
    },
    reason: 'flood',
    text: {
      frames: 'ENHANCE_YOUR_CALM: too many SETTINGS frames',
      http2: /^ENHANCE_YOUR_CALM: node:http2 reports "Flooding was detected/,
    },
  },
  {
    name: 'calls that are reset without an end',
    options: { limits: { abandonedCalls: { burst: 50, perSecond: 0.001 } } },
    attempt: says(
      CLIENT_PREFACE,
      settings(),
      ...MANY.flatMap((_, i) => [
        headers(2 * i + 1, requestTo(METHOD)),
        resetStream(2 * i + 1, ErrorCode.CANCEL),
      ]),
    ),
    reason: 'flood',
    text: 'ENHANCE_YOUR_CALM: too many calls that were reset or malformed',
  },
  {
    name: 'half a field block that is more than may be held',
    options: { limits: { maxHeldBytesPerConnection: 1000 } },
    attempt: says(CLIENT_PREFACE, settings(), frame(FrameType.HEADERS, 0, 1, Buffer.alloc(10_000))),
    reason: 'flood',
    text: {
      frames: 'ENHANCE_YOUR_CALM: too much is held for a client that takes none of it',
      http2: UNKNOWN,
    },
  },
  {
    name: 'PINGs above what is permitted',
    options: { limits: { permitKeepalive: { timeMilliseconds: 60_000 } } },
    attempt: says(CLIENT_PREFACE, settings(), PING, PING, PING, PING),
    reason: 'too_many_pings',
    text: 'ENHANCE_YOUR_CALM: too_many_pings',
  },
  {
    name: 'nothing at all',
    options: { limits: QUICK },
    attempt: connect,
    reason: 'timeout',
    text: LATE,
  },
  {
    name: 'half a preface',
    options: { limits: QUICK },
    attempt: says(CLIENT_PREFACE.subarray(0, 10)),
    reason: 'timeout',
    text: LATE,
  },
  {
    name: 'half a TLS handshake',
    options: { ...SECURE, limits: QUICK },
    attempt: says(Buffer.from('160301', 'hex')),
    reason: 'timeout',
    text: LATE,
  },
  {
    name: 'nothing but a TLS handshake',
    options: { ...SECURE, limits: QUICK },
    attempt: shakesHands(),
    reason: 'timeout',
    text: LATE,
  },
  {
    name: 'SETTINGS that are not acknowledged',
    options: { limits: { settingsTimeoutMilliseconds: 100 } },
    attempt: says(CLIENT_PREFACE, settings()),
    reason: 'timeout',
    text: { frames: 'SETTINGS_TIMEOUT: SETTINGS not acknowledged', http2: UNKNOWN },
  },
  {
    name: 'half a frame',
    options: { limits: { frameTimeoutMilliseconds: 100 } },
    attempt: says(CLIENT_PREFACE, settings(), PING.subarray(0, 12)),
    reason: 'timeout',
    text: {
      frames: 'ENHANCE_YOUR_CALM: a frame not finished in time',
      http2: UNKNOWN,
    },
  },
  {
    name: 'silence where PINGs are to be answered',
    options: { limits: { keepalive: { timeMilliseconds: 50, timeoutMilliseconds: 50 } } },
    attempt: says(CLIENT_PREFACE, settings()),
    reason: 'keepalive',
    text: 'the peer is silent and does not answer a PING (keepalive)',
  },
];

for (const { name, options, attempt, reason, text } of CASES) {
  behaviour(`refused: ${name}`, async (t, world) => {
    const { server: transport } = world.transports;
    const words = typeof text === 'string' || text instanceof RegExp ? text : text[transport];
    if (words === UNKNOWN) return;
    const { server, port, refusals } = await refusing(world, options);
    const { socket, address } = await attempt(port);
    await eventually('it is told', () => refusals.length > 0);
    t.match(refusals[0], { reason, peer: address });
    if (typeof words === 'string') t.equal(refusals[0]!.text, words);
    else t.match(refusals[0]!.text, words);
    socket.destroy();
    await server.close({ timeoutMilliseconds: 0 });
    t.equal(refusals.length, 1, 'once');
  });
}

for (const [wire, options, open] of [
  ['TCP', {}, connect],
  ['TLS', SECURE, shakesHands()],
] as const) {
  behaviour(`refused: a client above maxConnections, by ${wire}`, async (t, world) => {
    const { server, port, refusals } = await refusing(world, { ...options, limits: { maxConnections: 1 } });
    const first = await open(port);
    const second = await open(port);
    await eventually('it is told', () => refusals.length > 0);
    const text = 'there are 1 connections, as many as may be';
    t.strictSame(refusals, [{ reason: 'connection_limit', peer: second.address, text }]);
    first.socket.destroy();
    second.socket.destroy();
    await server.close({ timeoutMilliseconds: 0 });
    t.equal(refusals.length, 1, 'once');
  });
}

for (const [how, act] of [
  ['closes its connection', (socket: Socket) => void socket.end()],
  ['resets its connection', (socket: Socket) => resetConnection(socket)],
] as const) {
  behaviour(`not refused: a client that just ${how}`, async (t, world) => {
    const cleartext = await refusing(world);
    const secure = await refusing(world, MUTUAL);
    const before = [await connect(cleartext.port), await connect(secure.port)];
    for (const { socket } of before) act(socket);
    const half = await says(Buffer.from('160301', 'hex'))(secure.port);
    act(half.socket);
    const begun = await says(CLIENT_PREFACE, settings(), headers(1, requestTo(METHOD)))(cleartext.port);
    const handshake = await connectTls(secure.port, member);
    await once(handshake.socket, 'secureConnect');
    handshake.socket.write(Buffer.concat([CLIENT_PREFACE, settings(), headers(1, requestTo(METHOD))]));
    act(begun.socket);
    act(handshake.socket);
    const left = [...before, half, begun, handshake];
    await eventually('all have gone', () => left.every(({ socket }) => socket.destroyed));
    await cleartext.server.close({ timeoutMilliseconds: 0 });
    await secure.server.close({ timeoutMilliseconds: 0 });
    t.same([...cleartext.refusals, ...secure.refusals], []);
  });
}

behaviour('refused once: a client without ALPN that stays until its time is over', async (t, world) => {
  const limits = { handshakeTimeoutMilliseconds: 600 };
  const { port, refusals } = await refusing(world, { ...SECURE, limits });
  const under = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.teardown(() => under.destroy());
  const socket = tls.connect({ socket: under, servername: 'localhost', ca: authority.cert });
  socket.on('error', () => {});
  await eventually('it is told', () => refusals.length > 0);
  // The time is what the test is about.
  await pass(2 * limits.handshakeTimeoutMilliseconds);
  t.strictSame(
    refusals.map(({ reason }) => reason),
    ['not_http2'],
  );
});

behaviour('not refused: a client of a server that drains, or that is told to go', async (t, world) => {
  const { server, port, refusals } = await refusing(world, { limits: { maxAgeMilliseconds: 50 } });
  const old = await FramePeer.client({ port });
  t.teardown(() => old.destroy());
  await old.closed;
  await says(CLIENT_PREFACE, settings())(port);
  await connect(port);
  await server.close({ timeoutMilliseconds: 0 });
  t.same(refusals, []);
});

behaviour('an observer of refused clients that throws breaks nothing', async (t, world) => {
  const events = new ProcessEvents(t);
  const told: RefusedPeer[] = [];
  const { server, port } = await world.serve({
    observer: {
      onPeerRefused: () => {
        throw new Error('onPeerRefused is broken');
      },
    },
  });
  server.observe({ onPeerRefused: (refusal) => void told.push(refusal) });
  const { socket } = await says(HTTP_1)(port);
  await once(socket, 'close');
  await eventually('the other is told', () => told.length === 1);
  await events.settled();
  t.ok(events.warnings.includes('onPeerRefused is broken'));
  t.strictSame(events.fatal, []);
});

t.test('refused: a client of an attached server that wastes its calls', async (t) => {
  const owned = http2.createServer();
  const refusals: RefusedPeer[] = [];
  const server = new Server({
    unknownServiceHandler: () => new Promise(() => {}),
    limits: { abandonedCalls: { burst: 20, perSecond: 0.001 } },
    observer: { onPeerRefused: (refusal) => void refusals.push(refusal) },
  });
  server.attach(owned);
  owned.listen(0, '127.0.0.1');
  await once(owned, 'listening');
  t.teardown(() => owned.close());
  const client = await FramePeer.client({ port: (owned.address() as AddressInfo).port });
  t.teardown(() => client.destroy());
  const peer = `127.0.0.1:${client.socket.localPort}`;
  for (let id = 1; id < 100; id += 2) {
    client.send(
      headers(id, requestTo(METHOD)),
      data(id, encodeMessage(Buffer.alloc(1))),
      resetStream(id, ErrorCode.CANCEL),
    );
  }
  await client.closed;
  const text = 'ENHANCE_YOUR_CALM: too many calls that were reset or malformed';
  t.strictSame(refusals, [{ reason: 'flood', peer, text }]);
});
