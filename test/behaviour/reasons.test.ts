import { type DialOptions, encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { RESPONSE } from '../support/fields.js';
import { data, END, Flag, FrameType, frame, headers, resetStream, settings } from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { freePort } from '../support/free-port.js';
import { fieldValue } from '../support/http2-client.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

/** The status and message of a call through a proxy to a target, with `{}` in place of the target's name. */
async function statusAt(world: World, target: string, dialOptions: DialOptions = {}): Promise<string> {
  const conn = world.dial(target, dialOptions);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const { headers, trailers } = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  const last = trailers ?? headers;
  const message = decodeURIComponent(fieldValue(last, 'grpc-message') ?? '');
  return `${fieldValue(last, 'grpc-status')} ${message.replaceAll(target, '{}')}`;
}

/** What a backend does with the first request on a connection, and the status that the call then has. */
const BACKENDS: Record<string, [(connection: FramePeer) => void, string | RegExp]> = {
  'a GOAWAY with an error code and debug data': [
    (connection) => {
      const payload = Buffer.concat([Buffer.from('000000010000000b', 'hex'), Buffer.from('too_many_pings')]);
      connection.send(frame(FrameType.GOAWAY, 0, 0, payload));
      connection.socket.end();
    },
    '14 the connection to {} was lost: GOAWAY ENHANCE_YOUR_CALM, "too_many_pings"',
  ],
  'a FIN': [(connection) => connection.socket.end(), '14 the connection to {} was lost: the peer closed it'],
  'a TCP reset': [
    (connection) => connection.socket.resetAndDestroy(),
    '14 the connection to {} was lost: it was reset by the peer',
  ],
  'DATA before HEADERS': [
    (connection) => connection.send(data(1, MESSAGE)),
    /^1[34] the (connection|stream) to \{\} (was lost: PROTOCOL_ERROR: .+|failed: DATA before HEADERS \(PROTOCOL_ERROR\))$/,
  ],
  'an oversize frame': [
    (connection) => connection.send(data(1, Buffer.alloc(2 ** 20))),
    /^14 the connection to \{\} was lost: (FRAME_SIZE_ERROR|PROTOCOL_ERROR): .+$/,
  ],
  'broken HPACK': [
    (connection) =>
      connection.send(frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.from('ffffffffffffff', 'hex'))),
    /^14 the connection to \{\} was lost: (COMPRESSION_ERROR|PROTOCOL_ERROR): .+$/,
  ],
  'RST_STREAM(INTERNAL_ERROR)': [
    (connection) => connection.send(resetStream(1, 2)),
    '13 {} reset the stream: INTERNAL_ERROR',
  ],
  'no grpc-status': [
    (connection) => {
      connection.send(headers(1, RESPONSE));
      connection.send(headers(1, ['x-trailer', '1'], END));
    },
    '2 {} ended the call without a grpc-status',
  ],
  'HTTP status 503': [
    (connection) => connection.send(headers(1, [':status', '503'], END)),
    '14 {} answered with HTTP status 503',
  ],
};

for (const [name, [answer, expected]] of Object.entries(BACKENDS)) {
  behaviour(`${name}: the status says so within two seconds, and names the backend`, async (t, world) => {
    const backend = await world.frameBackend(async (connection) => {
      connection.acknowledges = true;
      connection.send(settings());
      await connection.until(() => connection.hasEnded(1));
      // So that nothing is on its way when the connection breaks: a write may fail by that, and hide it from reads.
      await connection.roundTrip();
      answer(connection);
    });
    const status = await within(2000, 'the status', statusAt(world, `127.0.0.1:${backend.port}`));
    if (typeof expected === 'string') t.equal(status, expected);
    else t.match(status, expected);
  });
}

behaviour('nobody listens: the status says so', async (t, world) => {
  const port = await freePort();
  t.equal(await statusAt(world, `127.0.0.1:${port}`), '14 cannot connect to {}: connection refused');
  t.equal(await statusAt(world, 'unix:/nowhere/at/all'), '14 cannot connect to {}: there is no such socket');
});

behaviour('a backend that never begins to speak HTTP/2: the status says so', async (t, world) => {
  const backend = await world.frameBackend(() => {});
  t.equal(
    await statusAt(world, `127.0.0.1:${backend.port}`, { limits: { connectTimeoutMilliseconds: 100 } }),
    '14 cannot connect to {}: no HTTP/2 SETTINGS within 100 ms of the connection attempt',
  );
});

behaviour('a backend that closes before its SETTINGS: the status says so', async (t, world) => {
  const backend = await world.frameBackend((connection) => {
    connection.socket.end();
  });
  t.equal(
    await statusAt(world, `127.0.0.1:${backend.port}`),
    '14 cannot connect to {}: the peer closed it before it sent HTTP/2 SETTINGS',
  );
});
