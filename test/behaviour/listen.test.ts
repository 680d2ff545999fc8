import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { Code, encodeMessage, Server, type StreamHandler } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { cert, key } from '../support/certificate.js';
import { GrpcClient } from '../support/grpc-client.js';
import { fieldValue, Http2Client } from '../support/http2-client.js';

const METHOD = '/test.Local/Call';

const echo: StreamHandler = async (stream) => {
  for await (const message of stream) await stream.sendMessage(message);
};

function newServer(t: Test, world: World, options = {}): Server {
  const server = new Server({ unknownServiceHandler: echo, transport: world.transports.server, ...options });
  t.teardown(() => server.destroy());
  return server;
}

async function call(t: Test, target: string, credentials?: grpc.ChannelCredentials) {
  const client = new GrpcClient(target, credentials);
  t.teardown(() => client.close());
  const { code, messages } = await client.call(METHOD, ['hello']);
  return { code, messages: messages.map(String) };
}

const fine = { code: Code.OK, messages: ['hello'] };

behaviour('a server listens at several addresses, and says which', async (t, world) => {
  const server = newServer(t, world);
  const first = await server.listen('127.0.0.1:0');
  const second = await server.listen({ host: '127.0.0.1', port: 0 });
  t.match(first, { host: '127.0.0.1' });
  t.ok(first.port > 0 && first.port !== second.port);
  for (const address of [first, second]) {
    t.same(await call(t, `127.0.0.1:${address.port}`), fine);
  }
});

behaviour('without a host a server listens on every interface', async (t, world) => {
  const server = newServer(t, world);
  const address = await server.listen(':0');
  t.same(await call(t, `127.0.0.1:${address.port}`), fine);
});

behaviour('a server listens at a unix socket, beside TCP', async (t, world) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'listen-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const peers: string[] = [];
  const server = newServer(t, world, {
    unknownServiceHandler: (stream: Parameters<StreamHandler>[0]) => {
      peers.push(stream.context.peer);
      return echo(stream);
    },
  });
  const file = path.join(directory, 'socket');
  t.same(await server.listen(`unix:${file}`), { path: file });
  await server.listen('127.0.0.1:0');
  t.same(await call(t, `unix:${file}`), fine);
  t.same(peers, [''], 'whose clients have no address');
});

behaviour('a server speaks TLS', async (t, world) => {
  const server = newServer(t, world, { tls: { key, cert } });
  const address = await server.listen('127.0.0.1:0');
  // Node 26 refuses an IP address as the TLS server name, which grpc-js would make of it.
  const target = `localhost:${address.port}`;
  t.same(await call(t, target, grpc.credentials.createSsl(Buffer.from(cert))), fine);
  const session = http2.connect(`https://${target}`, { ca: cert, ALPNProtocols: ['h2'] });
  t.teardown(() => session.destroy());
  await once(session, 'connect');
  t.equal(session.alpnProtocol, 'h2');
});

behaviour('an address that is none is a TypeError that says what one looks like', async (t, world) => {
  const server = newServer(t, world);
  const bad = [
    '',
    'localhost',
    '127.0.0.1',
    '127.0.0.1:',
    ':x',
    '127.0.0.1:65536',
    'unix:',
    '::1:80',
    'a b:1',
  ];
  for (const address of bad) {
    const error = await server.listen(address).catch((reason) => reason);
    t.ok(error instanceof TypeError, JSON.stringify(address));
    t.match(error, { message: /give HOST:PORT, :PORT or unix:\/PATH$/ });
  }
});

behaviour('an address in use is EADDRINUSE, and takes nothing from the server', async (t, world) => {
  const server = newServer(t, world);
  const address = await server.listen('127.0.0.1:0');
  const other = newServer(t, world);
  const error = await other.listen(address).catch((reason) => reason);
  t.match(error, { code: 'EADDRINUSE' });
  const elsewhere = await other.listen('127.0.0.1:0');
  t.same(await call(t, `127.0.0.1:${elsewhere.port}`), fine);
  t.same(await call(t, `127.0.0.1:${address.port}`), fine);
  await other.close();
});

for (const api of ['request', 'stream'] as const) {
  t.test(`attached to a server with a ${api} listener, each gets its own streams`, async (t) => {
    const owned = http2.createServer();
    t.teardown(() => owned.close());
    const others: string[] = [];
    const take = (streamPath: string, stream: http2.ServerHttp2Stream): void => {
      others.push(streamPath);
      stream.respond({ ':status': 200 });
      stream.end('mine');
    };
    const listen = (): void => {
      if (api === 'request') owned.on('request', (request, response) => take(request.url, response.stream));
      else owned.on('stream', (stream, headers) => take(String(headers[':path']), stream));
    };
    // The order must not matter.
    const server = new Server({ unknownServiceHandler: echo });
    if (api === 'request') listen();
    server.attach(owned);
    if (api === 'stream') listen();
    owned.listen(0, '127.0.0.1');
    await once(owned, 'listening');
    const { port } = owned.address() as AddressInfo;
    t.same(await call(t, `127.0.0.1:${port}`), fine);
    const client = new Http2Client(port);
    t.teardown(() => client.destroy());
    const web = await client.call('/index', Buffer.alloc(0), { 'content-type': 'text/plain' });
    t.equal(web.data.toString(), 'mine');
    const grpcWeb = await client.call('/web', Buffer.alloc(0), { 'content-type': 'application/grpc-web' });
    t.equal(grpcWeb.data.toString(), 'mine');
    t.same(others, ['/index', '/web'], 'the gRPC call did not reach it');

    await server.close();
    const refused = await client.call(METHOD, encodeMessage(Buffer.from('late')));
    t.equal(refused.resetCode, http2.constants.NGHTTP2_REFUSED_STREAM, 'after close() calls are refused');
    const still = await client.call('/index', Buffer.alloc(0), { 'content-type': 'text/plain' });
    t.equal(still.data.toString(), 'mine', "while the owner's own go on");
  });
}

t.test('attached to a server without listeners, it answers everything', async (t) => {
  const owned = http2.createServer();
  t.teardown(() => owned.close());
  new Server({ unknownServiceHandler: echo }).attach(owned);
  owned.listen(0, '127.0.0.1');
  await once(owned, 'listening');
  const { port } = owned.address() as AddressInfo;
  t.same(await call(t, `127.0.0.1:${port}`), fine);
  const client = new Http2Client(port);
  t.teardown(() => client.destroy());
  const web = await client.call('/index', Buffer.alloc(0), { 'content-type': 'text/plain' });
  t.equal(fieldValue(web.headers, ':status'), '415');
});
