import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { type PeerCertificate, Server, type ServerOptions, type StreamHandler } from '../../lib/index.js';
import { Authority, type Identity } from '../support/authority.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { echo, GrpcBackend } from '../support/grpc-backend.js';
import { collect, GrpcClient } from '../support/grpc-client.js';
import { ProcessEvents } from '../support/process-events.js';
import { METHOD } from '../support/unary.js';

const authority = new Authority();
const stranger = new Authority('stranger');
const home = authority.issue({ name: 'home', altNames: ['IP:127.0.0.1', 'DNS:localhost'] });
const SPIFFE = 'spiffe://example.test/ns/a/sa/b';
const member = authority.issue({
  name: 'member, CN=admin',
  altNames: ['DNS:member.test', `URI:${SPIFFE}`, 'IP:10.0.0.1', 'email:me@member.test'],
});
const outsider = stranger.issue({ name: 'member, CN=admin', altNames: ['DNS:member.test'] });
const MUTUAL = { ...home, ca: authority.cert, requestCert: true };

function client(t: Test, port: number, identity?: Identity): GrpcClient {
  const [key, cert] = identity ? [Buffer.from(identity.key), Buffer.from(identity.cert)] : [null, null];
  const credentials = grpc.credentials.createSsl(Buffer.from(authority.cert), key, cert);
  const made = new GrpcClient(`localhost:${port}`, credentials);
  t.teardown(() => made.close());
  return made;
}

/** A server that notes who calls. */
async function noting(world: World, options: ServerOptions) {
  const seen: (PeerCertificate | undefined)[] = [];
  const { port } = await world.serve({
    unknownServiceHandler: (stream) => {
      seen.push(stream.context.peerCertificate);
    },
    ...options,
  });
  return { port, seen };
}

behaviour('a call through mutual TLS on both sides', async (t, world) => {
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(authority.cert),
    [{ cert_chain: Buffer.from(home.cert), private_key: Buffer.from(home.key) }],
    true,
  );
  const backend = await GrpcBackend.start({ [METHOD]: echo }, {}, 0, credentials);
  t.teardown(() => backend.destroy());
  const options = { tls: { ca: authority.cert, ...member } };
  const conn = world.dial(`https://localhost:${backend.port}`, options);
  let caller: PeerCertificate | undefined;
  const proxy = await world.proxy(
    (ctx) => {
      caller = ctx.peerCertificate;
      return { primary: { conn } };
    },
    { tls: MUTUAL },
  );
  const { code, details, messages } = await client(t, proxy.port, member).call(METHOD, ['one', 'two']);
  t.equal(code, 0, details);
  t.strictSame(messages.map(String), ['one', 'two']);
  t.equal(caller?.subject, 'CN=member\\, CN=admin');
});

behaviour('ctx.peerCertificate says who calls', async (t, world) => {
  const { port, seen } = await noting(world, { tls: MUTUAL });
  const caller = client(t, port, member);
  t.equal((await caller.call(METHOD, [])).code, 0);
  t.equal((await caller.call(METHOD, [])).code, 0);
  t.equal(seen[0], seen[1], 'it is read once for a connection');
  t.match(seen[0], {
    // A comma of the name's own does not begin another part.
    subject: 'CN=member\\, CN=admin',
    issuer: 'CN=authority',
    fingerprint256: /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/,
    serialNumber: /^40[0-9A-F]{30}$/,
  });
  t.strictSame(seen[0]?.subjectAltNames, [
    { kind: 'dns', value: 'member.test' },
    { kind: 'uri', value: SPIFFE },
    { kind: 'ip', value: '10.0.0.1' },
    { kind: 'email', value: 'me@member.test' },
  ]);
  t.ok(seen[0]!.validFrom.getTime() < Date.now() && Date.now() < seen[0]!.validTo.getTime());
});

behaviour(
  'ctx.peerCertificate is there when the connection has gone, though nobody asked before',
  async (t, world) => {
    const begun = deferred();
    const ended = deferred<string | undefined>();
    const handler: StreamHandler = async (stream) => {
      for await (const _ of stream);
    };
    const { port } = await world.serve({
      tls: MUTUAL,
      unknownServiceHandler: handler,
      interceptors: [
        async (stream, next) => {
          begun.resolve();
          try {
            await next();
          } finally {
            const { socket } = stream.context;
            await eventually('the connection has gone', () => socket.closed);
            ended.resolve(stream.context.peerCertificate?.subject);
          }
        },
      ],
    });
    const session = http2.connect(`https://127.0.0.1:${port}`, { ca: authority.cert, ...member });
    session.on('error', () => {});
    t.teardown(() => session.destroy());
    const stream = session.request({
      ':method': 'POST',
      ':path': METHOD,
      'content-type': 'application/grpc',
    });
    stream.on('error', () => {});
    stream.write(Buffer.alloc(5));
    await begun.promise;
    session.destroy();
    t.equal(await ended.promise, 'CN=member\\, CN=admin');
  },
);

behaviour('ctx.peerCertificate is there where a session is resumed', async (t, world) => {
  const { port, seen } = await noting(world, { tls: MUTUAL });
  let session: Buffer | undefined;
  for (const isReused of [false, true]) {
    const socket = tls.connect({
      ...{ port, host: '127.0.0.1', ca: authority.cert, ALPNProtocols: ['h2'] },
      ...{ ...member, session },
    });
    socket.once('session', (ticket: Buffer) => {
      session ??= ticket;
    });
    const client = http2.connect(`https://127.0.0.1:${port}`, { createConnection: () => socket });
    t.teardown(() => client.destroy());
    const fields = { ':method': 'POST', ':path': METHOD, 'content-type': 'application/grpc' };
    const stream = client.request(fields, { endStream: true });
    stream.resume();
    await once(stream, 'close');
    t.equal(socket.isSessionReused(), isReused);
    client.close();
  }
  t.strictSame(
    seen.map((certificate) => certificate?.subject),
    ['CN=member\\, CN=admin', 'CN=member\\, CN=admin'],
  );
});

behaviour('ctx.peerCertificate is no certificate that nobody vouches for', async (t, world) => {
  const { port, seen } = await noting(world, { tls: { ...MUTUAL, rejectUnauthorized: false } });
  for (const identity of [member, outsider, undefined]) {
    t.equal((await client(t, port, identity).call(METHOD, [])).code, 0);
  }
  t.strictSame(
    seen.map((certificate) => certificate?.issuer),
    ['CN=authority', undefined, undefined],
  );
});

behaviour('ctx.peerCertificate is undefined where none is asked for, and without TLS', async (t, world) => {
  const secure = await noting(world, { tls: home });
  t.equal((await client(t, secure.port, member).call(METHOD, [])).code, 0);
  const cleartext = await noting(world, {});
  t.equal((await world.grpcClient(cleartext.port).call(METHOD, [])).code, 0);
  t.strictSame([...secure.seen, ...cleartext.seen], [undefined, undefined]);
});

t.test('ctx.peerCertificate of calls that an attached server takes', async (t) => {
  const owned = http2.createSecureServer(MUTUAL);
  const seen: (string | undefined)[] = [];
  const server = new Server({
    unknownServiceHandler: (stream) => {
      seen.push(stream.context.peerCertificate?.subject);
    },
  });
  server.attach(owned);
  owned.listen(0, '127.0.0.1');
  await once(owned, 'listening');
  t.teardown(() => owned.close());
  const { port } = owned.address() as AddressInfo;
  const caller = client(t, port, member);
  t.equal((await caller.call(METHOD, [])).code, 0);
  caller.close();
  t.strictSame(seen, ['CN=member\\, CN=admin']);
});

behaviour('clients whose handshake fails are closed, and harm nobody', async (t, world) => {
  const events = new ProcessEvents(t);
  const { port, seen } = await noting(world, { tls: MUTUAL });
  const attempts: ConnectionOptions[] = [
    {},
    outsider,
    { ...outsider, maxVersion: 'TLSv1.2' },
    { maxVersion: 'TLSv1.2' },
    { ...member, ALPNProtocols: ['http/1.1'] },
    { ...member, ALPNProtocols: [] },
  ];
  for (const options of attempts) {
    const socket = tls.connect({
      port,
      host: '127.0.0.1',
      ca: authority.cert,
      ALPNProtocols: ['h2'],
      ...options,
    });
    socket.resume();
    await closed(socket);
  }
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(600, 0x16),
    Buffer.from('160301', 'hex'),
  ]) {
    const socket = net.connect(port, '127.0.0.1');
    socket.end(bytes);
    socket.resume();
    await closed(socket);
  }
  t.equal((await client(t, port, member).call(METHOD, [])).code, 0);
  t.equal(seen.length, 1);
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour('an SNICallback that throws ends the handshake, and nothing else', async (t, world) => {
  const events = new ProcessEvents(t);
  const { port } = await noting(world, {
    tls: {
      ...home,
      SNICallback: (name, done) => {
        if (name === 'bad.test') throw new Error('a bad name');
        done(null);
      },
    },
  });
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'bad.test', ALPNProtocols: ['h2'] });
  await closed(socket);
  const running = collect(client(t, port).open(METHOD));
  t.equal((await running).code, 0);
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour(
  'a pskCallback that throws, on either side, ends the handshake, and nothing else',
  async (t, world) => {
    const events = new ProcessEvents(t);
    const PSK = { ciphers: 'DHE-PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } as const;
    const psk = Buffer.alloc(16, 1);
    const fail = (): never => {
      throw new Error('no such key');
    };
    const { port } = await noting(world, { tls: { ...PSK, pskCallback: fail } });
    const pskCallback = () => ({ psk, identity: 'somebody' });
    const socket = tls.connect({ port, host: '127.0.0.1', ...PSK, pskCallback, ALPNProtocols: ['h2'] });
    await closed(socket);
    const conn = world.dial(`https://127.0.0.1:${port}`, { tls: { ...PSK, pskCallback: fail } });
    conn.connect();
    await eventually('it has failed', () => conn.state.name === 'TRANSIENT_FAILURE');
    await events.settled();
    t.strictSame(events.fatal, []);
  },
);

/** `once` rejects upon an error. */
function closed(socket: net.Socket): Promise<void> {
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
