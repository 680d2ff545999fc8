import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type HeaderList, headerValue } from '../../../lib/port/headers.js';
import type { IncomingStream } from '../../../lib/port/stream.js';
import { FramesServerTransport } from '../../../lib/transport/frames/server-transport.js';
import { DEFAULT_SERVER_LIMITS } from '../../../lib/transport/limits.js';
import { cert, key } from '../../support/certificate.js';
import { REQUEST } from '../../support/fields.js';
import { Call, Echo, Inbox, startClient, startServer } from './fixtures.js';

/** The engine and node:http2 (nghttp2), each as client and as server of the other. */

async function nodeServer(
  t: Test,
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, raw: string[]) => void,
  options: http2.ServerOptions = {},
) {
  const server = http2.createServer({ maxSessionMemory: 1000, ...options });
  server.on('stream', (stream, headers, _flags, raw) => {
    stream.on('error', () => {});
    onStream(stream, headers, raw as unknown as string[]);
  });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, sessions };
}

function nodeEcho(stream: http2.ServerHttp2Stream): void {
  stream.respond({ ':status': 200 }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.pipe(stream);
}

function nodeClient(t: Test, address: { port: number }, options: http2.ClientSessionOptions = {}) {
  const session = http2.connect(`http://127.0.0.1:${address.port}`, { maxSessionMemory: 1000, ...options });
  session.on('error', () => {});
  t.teardown(() => session.destroy());
  return session;
}

interface Answer {
  headers: http2.IncomingHttpHeaders;
  raw: string[];
  trailers: http2.IncomingHttpHeaders;
  body: Buffer;
}

function request(
  session: http2.ClientHttp2Session,
  body: Buffer | undefined,
  headers: http2.OutgoingHttpHeaders = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': '/a.B/C', ...headers });
    const chunks: Buffer[] = [];
    const answer: Partial<Answer> = { trailers: {} };
    stream.on('response', (headers, _flags, raw?: string[]) => {
      answer.headers = headers;
      answer.raw = raw ?? [];
    });
    stream.on('trailers', (trailers) => {
      answer.trailers = trailers;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => resolve({ ...answer, body: Buffer.concat(chunks) } as Answer));
    stream.end(body);
  });
}

function pattern(length: number): Buffer {
  const buffer = Buffer.alloc(length);
  for (let i = 0; i < length; i++) buffer[i] = (i * 31) ^ (i >> 8);
  return buffer;
}

t.test('server: a body up and down, with trailers', async (t) => {
  const { address } = await startServer(t);
  const session = nodeClient(t, address);
  for (const length of [0, 1, 100, 16384, 16385, 1 << 20]) {
    const body = pattern(length);
    const answer = await request(session, body);
    t.equal(answer.headers[':status'], 200);
    t.ok(answer.body.equals(body), `${length} octets`);
    t.equal(answer.trailers['grpc-status'], '0');
  }
});

t.test('client: a body up and down, with trailers', async (t) => {
  const target = await nodeServer(t, nodeEcho);
  const transport = startClient(t, target);
  for (const length of [1, 100, 16384, 16385, 1 << 20]) {
    const body = pattern(length);
    const call = new Call(transport);
    await call.upload(body);
    await call.done();
    t.ok(Buffer.concat(call.chunks).equals(body), `${length} octets`);
    t.strictSame(call.trailers, ['grpc-status', '0']);
    t.strictSame(call.events, ['headers', 'data', 'headers+end']);
  }
});

t.test('client and server are both the engine', async (t) => {
  const { address } = await startServer(t);
  const transport = startClient(t, address);
  const body = pattern(3_000_000);
  const calls = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const call = new Call(transport);
      await call.upload(body);
      return call.done();
    }),
  );
  for (const call of calls) t.ok(Buffer.concat(call.chunks).equals(body));
});

t.test('server: small windows of the client are respected', async (t) => {
  const { address } = await startServer(t);
  const session = nodeClient(t, address, { settings: { initialWindowSize: 1000 } });
  const body = pattern(100_000);
  const answers = await Promise.all([request(session, body), request(session, body), request(session, body)]);
  for (const answer of answers) t.ok(answer.body.equals(body));
});

t.test('server: larger frames of the client are used', async (t) => {
  const { address } = await startServer(t);
  const session = nodeClient(t, address, { settings: { maxFrameSize: 1 << 20, initialWindowSize: 1 << 20 } });
  t.ok((await request(session, pattern(1 << 20))).body.equals(pattern(1 << 20)));
});

t.test('1000 streams at once, on a connection that allows 100', async (t) => {
  const target = await nodeServer(t, nodeEcho, { settings: { maxConcurrentStreams: 100 } });
  const transport = startClient(t, target);
  const calls = await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => {
      const call = new Call(transport);
      await call.upload(Buffer.from(String(i)));
      return call.done();
    }),
  );
  t.equal(calls.filter((call, i) => Buffer.concat(call.chunks).toString() === String(i)).length, 1000);
  t.ok(target.sessions.size <= 3, 'the bound on connections is kept');
});

t.test('1000 streams at once from node', async (t) => {
  const { address } = await startServer(t);
  const session = nodeClient(t, address);
  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => request(session, Buffer.from(`${i}`))),
  );
  t.equal(answers.filter((answer, i) => answer.body.toString() === String(i)).length, 1000);
});

t.test('headers and trailers that need CONTINUATION, both ways', async (t) => {
  const large = 'v'.repeat(20_000);
  const target = await nodeServer(t, (stream, headers) => {
    stream.respond(
      { ':status': 200, 'x-length': `${headers['x-large']?.length}`, 'x-a': large },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-b': large, 'grpc-status': '0' }));
    stream.end();
  });
  const call = new Call(startClient(t, target), [...REQUEST, 'x-large', large], true);
  await call.done();
  t.equal(headerValue(call.headers!, 'x-length'), '20000');
  t.equal(headerValue(call.headers!, 'x-a'), large);
  t.equal(headerValue(call.trailers!, 'x-b'), large);

  const { address } = await startServer(t, {
    onStream(stream: IncomingStream, headers: HeaderList) {
      stream.sendHeaders(
        [':status', '200', 'x-length', `${headerValue(headers, 'x-large')?.length}`, 'x-a', large],
        false,
      );
      stream.sendHeaders(['x-b', large], true);
    },
  });
  const answer = await request(nodeClient(t, address), undefined, { 'x-large': large });
  t.equal(answer.headers['x-length'], '20000');
  t.equal(answer.headers['x-a'], large);
  t.equal(answer.trailers['x-b'], large);
});

t.test('padding', async (t) => {
  const paddingStrategy = http2.constants.PADDING_STRATEGY_MAX;
  const { address } = await startServer(t);
  const session = nodeClient(t, address, { paddingStrategy });
  const body = pattern(1 << 20);
  t.ok((await request(session, body)).body.equals(body), 'from a client');
  const target = await nodeServer(t, nodeEcho, { paddingStrategy });
  const call = new Call(startClient(t, target));
  await call.upload(body);
  await call.done();
  t.ok(Buffer.concat(call.chunks).equals(body), 'from a server');
});

t.test('repeated names stay apart and in order', async (t) => {
  const target = await nodeServer(t, (stream, _headers, raw) => {
    stream.respond(
      { ':status': 200, 'x-raw': JSON.stringify(raw.slice(REQUEST.length)) },
      { endStream: true },
    );
  });
  const fields = ['x-a', '1', 'x-bin', 'AAE', 'x-a', '2', 'x-b', '', 'x-a', '1'];
  const call = new Call(startClient(t, target), [...REQUEST, ...fields], true);
  await call.done();
  t.strictSame(JSON.parse(headerValue(call.headers!, 'x-raw')!), fields);
});

t.test('RFC 7541 section 6.2.3: never-indexed fields stay so in both directions', async (t) => {
  const inbox = new Inbox();
  const { address } = await startServer(t, inbox);
  const session = nodeClient(t, address);
  session.request({
    ':path': '/',
    authorization: 'secret',
    'x-a': 'b',
    [http2.sensitiveHeaders]: ['authorization'],
  });
  const { headers } = await inbox.at(0);
  t.strictSame(headers?.neverIndexed, ['authorization']);

  let sensitive: unknown;
  const target = await nodeServer(t, (stream, headers) => {
    sensitive = (headers as Record<symbol, unknown>)[http2.sensitiveHeaders];
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  const list: HeaderList = [...REQUEST, 'authorization', 'secret'];
  list.neverIndexed = ['authorization'];
  await new Call(startClient(t, target), list, true).done();
  t.strictSame(sensitive, ['authorization']);
});

t.test('HPACK: random fields arrive as they were sent, over one connection each way', async (t) => {
  const seen: string[][] = [];
  const target = await nodeServer(t, (stream, _headers, raw) => {
    seen.push(raw.slice(REQUEST.length));
    stream.respond({ ':status': 200 }, { endStream: true });
  });
  const transport = startClient(t, target);
  const inbox = new Inbox();
  const { address } = await startServer(t, inbox);
  const session = nodeClient(t, address, { settings: { headerTableSize: 1000 } });
  let streams = 0;
  const name = fc.string({ unit: fc.constantFrom('x', 'y', 'z', '-', '_', '0'), minLength: 1, maxLength: 8 });
  const value = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((c) => String.fromCharCode(c)),
    maxLength: 60,
  });
  const fields = fc.array(
    fc.tuple(
      name.map((n) => `x${n}`),
      value,
    ),
    { maxLength: 20 },
  );
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fields, async (fields) => {
        const flat = fields.flat();
        await new Call(transport, [...REQUEST, ...flat], true).done();
        if (JSON.stringify(seen.at(-1)) !== JSON.stringify(flat)) throw new Error(`${seen.at(-1)}`);

        const object: Record<string, string> = {};
        for (const [name, value] of fields) object[name] = value;
        const stream = session.request(object, { endStream: true });
        stream.on('error', () => {});
        const { headers } = await inbox.at(streams++);
        const received = new Map<string, string>();
        for (let i = 0; i < headers!.length; i += 2) received.set(headers![i]!, headers![i + 1]!);
        for (const [name, value] of Object.entries(object)) {
          if (received.get(name) !== value) throw new Error(`${name}: ${received.get(name)} is not ${value}`);
        }
      }),
      { numRuns: 200 },
    ),
  );
});

t.test('a graceful shutdown lets running streams finish, and refuses none', async (t) => {
  const inbox = new Inbox();
  const { transport, address } = await startServer(t, inbox);
  const session = nodeClient(t, address);
  const answer = request(session, Buffer.from('x'));
  const { stream } = await inbox.at(0);
  const closed = transport.close();
  await new Promise((resolve) => session.once('goaway', resolve));
  stream.sendHeaders([':status', '200'], false);
  stream.sendHeaders(['grpc-status', '0'], true);
  t.equal((await answer).trailers['grpc-status'], '0');
  await closed;
});

t.test('TLS with ALPN', async (t) => {
  const { address } = await startServer(t, Echo, { tls: { key, cert } });
  const transport = startClient(t, { host: 'localhost', port: address.port }, { tls: { ca: cert } });
  const body = pattern(1 << 20);
  const call = new Call(transport);
  await call.upload(body);
  await call.done();
  t.equal(call.end, undefined);
  t.ok(Buffer.concat(call.chunks).equals(body));
  const session = http2.connect(`https://localhost:${address.port}`, { ca: cert });
  t.teardown(() => session.destroy());
  t.ok((await request(session, body)).body.equals(body));
});

t.test('RFC 9113 section 3.3: TLS without h2 in ALPN is refused', async (t) => {
  const tls = await import('node:tls');
  const server = tls.createServer({ key, cert }, (socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const call = new Call(startClient(t, { host: 'localhost', port }, { tls: { ca: cert } }));
  t.match((await call.done()).end, { cause: 'tls', text: /ALPN/ });

  const { address } = await startServer(t, Echo, { tls: { key, cert } });
  const socket = tls.connect({ port: address.port, host: '127.0.0.1', ca: cert, servername: 'localhost' });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  t.pass('a client without ALPN is disconnected');
});

t.test('unix sockets', async (t) => {
  const path = `${t.testdir()}/s`;
  const server = new FramesServerTransport(Echo, { tls: undefined, limits: DEFAULT_SERVER_LIMITS });
  t.strictSame(await server.listen({ path }), { path });
  t.teardown(() => server.destroy());
  const call = new Call(startClient(t, { path }), REQUEST, true);
  await call.done();
  t.ok(call.ended);
});
