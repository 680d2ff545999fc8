import { once } from 'node:events';
import http2, { type SecureServerOptions } from 'node:http2';
import type { AddressInfo } from 'node:net';
import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { cert, key } from '../support/certificate.js';
import { startEchoBackend } from '../support/echo-backend.js';
import { REQUEST, RESPONSE, TRAILERS } from '../support/fields.js';
import { CLIENT_PREFACE, data, END, frame, headers, PING, settings, windowUpdate } from '../support/frame.js';
import { FrameBackend } from '../support/frame-backend.js';
import { FramePeer } from '../support/frame-peer.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue, type Response } from '../support/http2-client.js';
import { ProcessEvents } from '../support/process-events.js';
import { TLS } from '../support/wire.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

interface SecureBackend {
  readonly port: number;
  /** The scheme and authority of each request. */
  readonly asked: string[];
  readonly sockets: TLSSocket[];
}

async function secureBackend(t: Test, options: SecureServerOptions = {}): Promise<SecureBackend> {
  const asked: string[] = [];
  const sockets: TLSSocket[] = [];
  const server = http2.createSecureServer({ key, cert, ...options });
  server.on('secureConnection', (socket: TLSSocket) => sockets.push(socket));
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    asked.push(`${headers[':scheme']} ${headers[':authority']}`);
    respond(stream, MESSAGE);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, asked, sockets };
}

async function call(world: World, target: string, options?: ConnectionOptions): Promise<Response[]> {
  const conn = world.dial(target, { tls: options });
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  return [await client.call(METHOD, MESSAGE), await client.call(METHOD, MESSAGE)];
}

function statuses(responses: Response[]): (string | undefined)[] {
  return responses.map(({ headers, trailers }) => fieldValue(trailers ?? headers, 'grpc-status'));
}

function message([response]: Response[]): string | undefined {
  return fieldValue(response!.trailers ?? response!.headers, 'grpc-message');
}

behaviour('https with ca and servername', async (t, world) => {
  const backend = await secureBackend(t);
  const target = `https://127.0.0.1:${backend.port}`;
  const responses = await call(world, target, { ca: cert, servername: 'backend.test' });
  t.same(statuses(responses), ['0', '0']);
  t.same(responses[0]!.data, MESSAGE);
  const asked = `https 127.0.0.1:${backend.port}`;
  t.same(backend.asked, [asked, asked]);
  t.equal(backend.sockets.length, 1, 'one connection for both calls');
  t.equal(backend.sockets[0]!.servername, 'backend.test');
});

behaviour('https with a certificate that nobody vouches for: UNAVAILABLE', async (t, world) => {
  const backend = await secureBackend(t);
  const responses = await call(world, `https://127.0.0.1:${backend.port}`, { servername: 'backend.test' });
  t.same(statuses(responses), ['14', '14']);
  t.match(message(responses), /TLS: the certificate is self-signed/);
  t.same(backend.asked, []);
});

behaviour('https with a certificate for another name: UNAVAILABLE', async (t, world) => {
  const backend = await secureBackend(t);
  const responses = await call(world, `https://127.0.0.1:${backend.port}`, { ca: cert });
  t.same(statuses(responses), ['14', '14']);
  t.match(message(responses), /127\.0\.0\.1/);
  t.same(backend.asked, []);
});

behaviour('https with rejectUnauthorized false', async (t, world) => {
  const backend = await secureBackend(t);
  const responses = await call(world, `https://127.0.0.1:${backend.port}`, { rejectUnauthorized: false });
  t.same(statuses(responses), ['0', '0']);
  t.equal(backend.sockets.length, 1);
});

behaviour('https asks for the name of the target', async (t, world) => {
  const backend = await secureBackend(t);
  const responses = await call(world, `https://localhost:${backend.port}`, { rejectUnauthorized: false });
  t.same(statuses(responses), ['0', '0']);
  t.equal(backend.sockets[0]!.servername, 'localhost');
});

behaviour('a client certificate is shown', async (t, world) => {
  const backend = await secureBackend(t, { requestCert: true, ca: cert, rejectUnauthorized: true });
  const trusted = { ca: cert, servername: 'backend.test' };
  const target = `https://127.0.0.1:${backend.port}`;
  t.same(statuses(await call(world, target, { ...trusted, key, cert })), ['0', '0']);
  t.same(statuses(await call(world, target, trusted)), ['14', '14']);
});

behaviour('a TLS peer that does not choose HTTP/2: UNAVAILABLE', async (t, world) => {
  const server = tls.createServer({ key, cert });
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const responses = await call(world, `https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  t.same(statuses(responses), ['14', '14']);
  t.match(message(responses), /ALPN/);
});

behaviour('a peer without TLS where TLS was expected: UNAVAILABLE', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => respond(stream));
  const responses = await call(world, `https://127.0.0.1:${backend.port}`, { rejectUnauthorized: false });
  t.same(statuses(responses), ['14', '14']);
});

behaviour('a plain session over TLS as conn', async (t, world) => {
  const backend = await secureBackend(t);
  const session = http2.connect(`https://127.0.0.1:${backend.port}`, { rejectUnauthorized: false });
  t.teardown(() => session.destroy());
  await once(session, 'connect');
  const proxy = await world.proxy(() => ({ primary: { conn: session } }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.same(statuses([response]), ['0']);
  t.same(backend.asked, [`https 127.0.0.1:${backend.port}`]);
});

behaviour('a call over TLS on both sides', async (t, world) => {
  const backend = await secureBackend(t);
  const conn = world.dial(`https://127.0.0.1:${backend.port}`, { tls: { rejectUnauthorized: false } });
  const proxy = await world.proxy(() => ({ primary: { conn } }), {
    tls: { key, cert },
  });
  const session = http2.connect(`https://127.0.0.1:${proxy.port}`, { rejectUnauthorized: false });
  t.teardown(() => session.destroy());
  const stream = session.request(
    { ':method': 'POST', ':path': METHOD, 'content-type': 'application/grpc', te: 'trailers' },
    { endStream: false },
  );
  let trailers: string[] | undefined;
  stream.once('trailers', (_trailers, _flags, ...rest) => {
    trailers = (rest as unknown as [string[]])[0];
  });
  stream.resume();
  stream.end(MESSAGE);
  await once(stream, 'close');
  t.same(trailers, ['grpc-status', '0']);
});

/**
 * Frames to be sent at once, so that what follows the first DATA in `last` is one event to node:http2: the peer answers
 * a PING in the first TLS record (16384 octets), and node:http2 puts DATA off, and all behind it, while it writes.
 */
function inTwoRecords(first: readonly Buffer[], last: readonly Buffer[]): Buffer[] {
  const opening = Buffer.concat([...first, PING]);
  const ignored = frame(0xfa, 0, 0, Buffer.alloc(16384 - opening.length - 9));
  return [opening, ignored, ...last];
}

behaviour('a TLS client that breaks the protocol behind a new stream harms nobody', async (t, world) => {
  const events = new ProcessEvents(t);
  const backend = await startEchoBackend(TLS);
  t.teardown(() => backend.destroy());
  const conn = world.dial(TLS.target(backend.port), TLS.dialOptions);
  const { port } = await world.proxy(() => ({ primary: { conn } }), TLS.serverOptions);
  const peer = await FramePeer.connect({ port }, TLS);
  t.teardown(() => peer.destroy());
  // The session fails before node:http2 has told of the second stream.
  const begun = [headers(1, REQUEST), data(1, MESSAGE), headers(3, REQUEST)];
  peer.send(...inTwoRecords([CLIENT_PREFACE, settings()], [...begun, windowUpdate(0, 0)]));
  await peer.closed;
  await events.settled();
  t.strictSame(events.fatal, []);
  const response = await world.http2Client(port, TLS).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
});

behaviour(
  'responses that come in one go over TLS keep their headers before their messages',
  async (t, world) => {
    const backend = await FrameBackend.start(async (peer) => {
      await peer.exchangePrefaces();
      await peer.nextHeaders(1);
      await peer.nextHeaders(3);
      const responses = [1, 3].flatMap((id) => [
        headers(id, RESPONSE),
        data(id, MESSAGE),
        headers(id, TRAILERS, END),
      ]);
      peer.send(...inTwoRecords([], responses));
    }, TLS);
    t.teardown(() => backend.destroy());
    const conn = world.dial(TLS.target(backend.port), TLS.dialOptions);
    const { port } = await world.proxy(() => ({ primary: { conn } }));
    const client = world.http2Client(port);
    for (const response of await Promise.all([client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)])) {
      t.strictSame(response.headers?.slice(0, 4), [':status', '200', 'content-type', 'application/grpc']);
      t.strictSame(response.data, MESSAGE);
      t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
    }
  },
);
