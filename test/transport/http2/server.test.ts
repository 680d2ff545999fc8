import { once } from 'node:events';
import net from 'node:net';
import { TLSSocket, type TlsOptions } from 'node:tls';
import t from 'tap';
import { ErrorCode } from '../../../lib/port/error-code.js';
import { headerValue } from '../../../lib/port/headers.js';
import { Http2ServerTransport } from '../../../lib/transport/http2/server-transport.js';
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from '../../../lib/transport/limits.js';
import { ServerTls } from '../../../lib/transport/server-tls.js';
import { REQUEST } from '../../support/fields.js';
import {
  CLIENT_PREFACE,
  END,
  errorCode,
  Flag,
  FrameType,
  headers,
  ping,
  resetStream,
  settings,
} from '../../support/frame.js';
import type { FramePeer } from '../../support/frame-peer.js';
import type { OnRequest } from '../../support/http2-backend.js';
import { Http2Client } from '../../support/http2-client.js';
import { TLS } from '../../support/wire.js';
import { within } from '../../support/within.js';
import { Accepted, answer, call, frameClient, nodeBackend, type Test, WIRES } from './fixtures.js';

interface Options {
  readonly limits?: Partial<ServerLimits>;
  readonly tls?: TlsOptions | undefined;
}

async function serve(t: Test, options: Options = {}) {
  const acceptor = new Accepted();
  const transport = new Http2ServerTransport(acceptor, {
    tls: options.tls && new ServerTls(options.tls),
    limits: { ...DEFAULT_SERVER_LIMITS, ...options.limits },
  });
  t.teardown(() => transport.destroy());
  const address = await transport.listen({ host: '127.0.0.1', port: 0 });
  if (!('port' in address)) throw new Error('not listening on TCP');
  return { transport, acceptor, port: address.port };
}

async function client(t: Test, port: number): Promise<FramePeer> {
  const connection = await frameClient(t, port);
  await connection.until(() => connection.of(0, FrameType.SETTINGS).length === 2);
  return connection;
}

function closesWithin(milliseconds: number, transport: Http2ServerTransport): Promise<void> {
  return within(milliseconds, 'close()', transport.close());
}

t.test('a TCP client that ignores GOAWAY and FIN does not hold close()', async (t) => {
  const { transport, port } = await serve(t);
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {}).resume();
  socket.write(CLIENT_PREFACE);
  socket.write(settings());
  await once(socket, 'readable').catch(() => {});
  await closesWithin(1000, transport);
});

t.test('a TCP client that says nothing at all does not hold close()', async (t) => {
  const { transport, port } = await serve(t);
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {}).resume();
  await once(socket, 'data');
  await closesWithin(1000, transport);
});

t.test('a TLS client that never finishes its handshake holds neither close() nor destroy()', async (t) => {
  for (const end of ['close', 'destroy'] as const) {
    const { transport, port } = await serve(t, TLS.serverOptions);
    const socket = net.connect(port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.on('error', () => {});
    await once(socket, 'connect');
    // A TLS record that is never complete.
    socket.write(Buffer.from([0x16, 3, 1, 1, 0, 1]));
    // Another client is served behind it: the first has been accepted by then.
    const other = new Http2Client(port, TLS);
    await once(other.session, 'remoteSettings');
    const closed = once(socket, 'close');
    if (end === 'destroy') transport.destroy();
    await closesWithin(1900, transport);
    await closed;
    other.destroy();
  }
});

t.test('a client that does not begin to speak HTTP/2 in time is left', async (t) => {
  for (const wire of Object.values(WIRES)) {
    const { port } = await serve(t, {
      limits: { handshakeTimeoutMilliseconds: 50 },
      ...wire.serverOptions,
    });
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {}).resume();
    await within(3000, 'the close', once(socket, 'close'));
  }
});

t.test('running streams finish while it closes, and a slow reader gets its whole answer', async (t) => {
  const { transport, acceptor, port } = await serve(t);
  const connection = await client(t, port);
  connection.send(headers(1, REQUEST, END));
  const { stream } = await acceptor.stream();
  const closed = transport.close();
  await connection.first(0, FrameType.GOAWAY);
  connection.socket.pause();
  answer(stream, Buffer.alloc(32 * 1024 * 1024));
  setTimeout(() => connection.socket.resume(), 1500);
  await connection.until(() =>
    connection.of(1, FrameType.HEADERS).some(({ flags }) => (flags & Flag.END_STREAM) !== 0),
  );
  connection.socket.end();
  await within(3000, 'close()', closed);
});

// If this fails, Node has learnt better: NODE-HTTP2.md, "The end of a connection", is to be mended.
t.test('a client that resets what it never opened, behind GOAWAY, loses its calls', async (t) => {
  const { transport, acceptor, port } = await serve(t);
  const connection = await client(t, port);
  connection.send(headers(1, REQUEST, END));
  const { received } = await acceptor.stream();
  const closed = transport.close();
  await connection.first(0, FrameType.GOAWAY);
  connection.send(resetStream(3, ErrorCode.NO_ERROR));
  t.match(await received.reset(), { lost: { cause: 'protocol' } });
  await within(3000, 'close()', closed);
});

t.test('destroy() resets running streams', async (t) => {
  const { transport, acceptor, port } = await serve(t);
  const connection = await client(t, port);
  connection.send(headers(1, REQUEST));
  const { received } = await acceptor.stream();
  transport.destroy();
  t.match(await received.reset(), { code: ErrorCode.CANCEL, by: 'local', lost: { cause: 'local' } });
  await closesWithin(1900, transport);
});

t.test('destroy() leaves a client that reads nothing, with an answer stuck', async (t) => {
  for (const wire of Object.values(WIRES)) {
    const { transport, acceptor, port } = await serve(t, wire.serverOptions);
    const connection = await frameClient(t, port, [], wire);
    connection.send(headers(1, REQUEST, END));
    const { stream, received } = await acceptor.stream();
    connection.socket.pause();
    call(() => stream.sendHeaders([':status', '200'], false));
    call(() => stream.sendData(Buffer.alloc(64 * 1024 * 1024), false));
    await new Promise((resolve) => setTimeout(resolve, 300));
    transport.destroy();
    t.match(await received.reset(), { lost: { cause: 'local' } });
    await closesWithin(1900, transport);
  }
});

t.test('listen() rejects after close(), and while it is under way', async (t) => {
  const { transport } = await serve(t);
  const listening = transport.listen({ host: '127.0.0.1', port: 0 });
  const closed = transport.close();
  await t.rejects(listening);
  await closed;
  await t.rejects(transport.listen({ host: '127.0.0.1', port: 0 }), /closed/);
});

t.test('the socket of a stream can be looked at after the client has gone', async (t) => {
  for (const wire of Object.values(WIRES)) {
    const { acceptor, port } = await serve(t, wire.serverOptions);
    const client = new Http2Client(port, wire);
    client.open('/');
    const { stream, received } = await acceptor.stream();
    t.equal(stream.socket.remoteAddress, '127.0.0.1');
    t.equal(stream.socket instanceof TLSSocket, wire === TLS);
    client.destroy();
    await received.reset();
    t.doesNotThrow(() => stream.socket.remoteAddress);
    t.equal(stream.socket.destroyed, true);
  }
});

t.test('a client that is lost is told apart from one that resets', async (t) => {
  const { acceptor, port } = await serve(t);
  const connection = await client(t, port);
  connection.send(headers(1, REQUEST));
  connection.send(headers(3, REQUEST));
  const first = await acceptor.stream(0);
  const second = await acceptor.stream(1);
  first.stream.resume();
  connection.send(resetStream(1, ErrorCode.CANCEL));
  t.strictSame(await first.received.reset(), {
    code: ErrorCode.CANCEL,
    by: 'peer',
    text: undefined,
    lost: undefined,
  });
  connection.socket.end();
  t.match(await second.received.reset(), { code: ErrorCode.CANCEL, by: 'peer', lost: { cause: 'closed' } });
});

t.test('a client that breaks the protocol is left within 2 s', async (t) => {
  const { transport, acceptor, port } = await serve(t);
  const connection = await client(t, port);
  connection.send(headers(1, REQUEST));
  const { received } = await acceptor.stream();
  const begun = performance.now();
  // A PING has eight bytes (RFC 9113 section 6.7).
  connection.send(ping(Buffer.alloc(7)));
  t.match(await received.reset(), { lost: { cause: 'protocol' } });
  t.ok(performance.now() - begun < 2000);
  await within(1900, 'close()', transport.close());
});

t.test('a client that does not answer a PING is left', async (t) => {
  const keepalive = { timeMilliseconds: 50, timeoutMilliseconds: 50 };
  const { acceptor, port } = await serve(t, { limits: { keepalive } });
  const connection = await client(t, port);
  connection.acknowledges = false;
  connection.send(headers(1, REQUEST));
  const { received } = await acceptor.stream();
  t.match(await received.reset(), { by: 'local', lost: { cause: 'keepalive' } });
});

t.test('a client that answers PINGs stays', async (t) => {
  const keepalive = { timeMilliseconds: 10, timeoutMilliseconds: 2000 };
  const { acceptor, port } = await serve(t, { limits: { keepalive } });
  const connection = await client(t, port);
  connection.send(headers(1, REQUEST));
  const { received } = await acceptor.stream();
  await connection.first(0, FrameType.PING);
  // Another PING comes only behind a frame of a stream.
  connection.send(headers(3, REQUEST));
  await connection.until(() => connection.of(0, FrameType.PING).length >= 2);
  t.strictSame(received.resets, []);
});

t.test('an idle connection is closed after its time', async (t) => {
  const { port } = await serve(t, { limits: { idleTimeoutMilliseconds: 100 } });
  const connection = await client(t, port);
  await within(3000, 'GOAWAY', connection.first(0, FrameType.GOAWAY));
});

async function attached(t: Test, onRequest: OnRequest) {
  const acceptor = new Accepted();
  const transport = new Http2ServerTransport(acceptor, { tls: undefined, limits: DEFAULT_SERVER_LIMITS });
  const { server, port } = await nodeBackend(t, onRequest);
  transport.attach(server, (headers) => headerValue(headers, 'content-type') === 'application/grpc');
  return { acceptor, transport, port };
}

t.test('an attached server gives its gRPC streams, and keeps the others', async (t) => {
  const { acceptor, port } = await attached(t, ({ stream }) => {
    stream.respond({ ':status': 404 }, { endStream: true });
  });
  const connection = await frameClient(t, port);
  connection.send(headers(1, REQUEST, END));
  const { stream } = await acceptor.stream();
  answer(stream, Buffer.from('x'));
  await connection.until(() => connection.of(1, FrameType.HEADERS).length === 2);
  connection.send(
    headers(
      3,
      REQUEST.map((text) => (text === 'application/grpc' ? 'text/plain' : text)),
      END,
    ),
  );
  await connection.first(3, FrameType.HEADERS);
  t.equal(acceptor.streams.length, 1);
  connection.destroy();
  await once(stream.socket, 'close');
  t.doesNotThrow(() => stream.socket.remoteAddress);
});

t.test('destroy() resets the streams of an attached server, and close() refuses further ones', async (t) => {
  const { acceptor, transport, port } = await attached(t, () => {});
  const connection = await frameClient(t, port);
  connection.send(headers(1, REQUEST));
  const { received } = await acceptor.stream();
  await transport.close();
  connection.send(headers(3, REQUEST));
  t.equal(errorCode(await connection.first(3, FrameType.RST_STREAM)), ErrorCode.REFUSED_STREAM);
  transport.destroy();
  t.match(await received.reset(), { code: ErrorCode.CANCEL, by: 'local', lost: { cause: 'local' } });
  t.equal(errorCode(await connection.first(1, FrameType.RST_STREAM)), ErrorCode.CANCEL);
});
