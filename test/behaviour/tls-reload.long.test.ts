import { once } from 'node:events';
import tls, { type SecureContextOptions, type TLSSocket } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { type ClientConn, dial, Server } from '../../lib/index.js';
import { Authority, type Identity } from '../support/authority.js';
import { behaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { collect, GrpcClient } from '../support/grpc-client.js';
import { Http2Client } from '../support/http2-client.js';
import { SecureBackend } from '../support/secure-backend.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { TLS } from '../support/wire.js';

const authority = new Authority();
const stranger = new Authority('stranger');
const first = identity('first');
const second = identity('second');

function identity(name: string, by = authority): Identity {
  return by.issue({ name, altNames: ['IP:127.0.0.1', 'DNS:localhost'] });
}

/** A connection as a client makes it, once it is of use; and the name that the server has shown. */
async function shake(
  t: Test,
  port: number,
  options: tls.ConnectionOptions = {},
): Promise<{ socket: TLSSocket; name: string }> {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    ca: authority.cert,
    ALPNProtocols: ['h2'],
    ...options,
  });
  t.teardown(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return { socket, name: String(socket.getPeerCertificate().subject?.CN) };
}

behaviour('the next handshakes use a new certificate, and connections that run go on', async (t, world) => {
  const { server, port } = await world.serve({
    tls: first,
    unknownServiceHandler: async (stream) => {
      for await (const message of stream) await stream.sendMessage(message);
    },
  });
  const other = await server.listen('127.0.0.1:0');
  const client = secureClient(t, port);
  const call = client.open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('before'));
  await once(call, 'data');
  server.setSecureContext(second);
  const later = await server.listen('127.0.0.1:0');
  for (const each of [port, other.port, later.port]) {
    t.equal((await shake(t, each)).name, 'second');
  }
  call.write(Buffer.from('after'));
  call.end();
  const { code, messages } = await result;
  t.equal(code, 0);
  t.equal(messages.length, 2);
});

function secureClient(t: Test, port: number, identity?: Identity): GrpcClient {
  const [key, cert] = identity ? [Buffer.from(identity.key), Buffer.from(identity.cert)] : [null, null];
  const credentials = grpc.credentials.createSsl(Buffer.from(authority.cert), key, cert);
  const client = new GrpcClient(`localhost:${port}`, credentials);
  t.teardown(() => client.close());
  return client;
}

const encrypted = 'x'.repeat(20);

/** What is of no use, and what is said of it. */
const BROKEN: Record<string, [SecureContextOptions, RegExp]> = {
  'a key of another certificate': [
    { cert: second.cert, key: first.key },
    /^tls\.key does not belong to the certificate$/,
  ],
  'a certificate of another key': [{ cert: second.cert }, /^tls\.key does not belong to the certificate$/],
  'a certificate that is cut off': [
    { ...second, cert: second.cert.slice(0, 300) },
    /^tls\.cert ends in the middle of a certificate$/,
  ],
  'a key that is cut off': [
    { ...second, key: second.key.slice(0, 90) },
    /^tls\.key holds a private key that cannot be read$/,
  ],
  'an empty file': [{ ...second, cert: '' }, /^tls\.cert holds no certificate in PEM$/],
  'authorities that are none': [{ ca: encrypted }, /^tls\.ca holds no certificate in PEM$/],
  'no authorities': [{ ca: [] }, /^tls\.ca is an empty list$/],
  'something else': [{ ca: 5 as unknown as string }, /^tls\.ca must be PEM, as text or bytes, not number$/],
  'an unknown option': [{ crt: second.cert } as SecureContextOptions, /takes no option "crt"/],
  'what is not of the context': [
    { requestCert: true } as SecureContextOptions,
    /takes no option "requestCert"/,
  ],
  'ciphers that there are not': [{ ciphers: 'NONE-OF-THESE' }, /^tls has an option that TLS does not take/],
  nothing: [undefined as unknown as SecureContextOptions, /^options must be an object, not undefined$/],
};

behaviour('what is of no use is refused at once, in plain words, and the old stays', async (t, world) => {
  const { server, port } = await world.serve({ tls: first });
  const backend = await SecureBackend.start(t, { ...first, ca: authority.cert, requestCert: true });
  const conn = world.dial(`https://127.0.0.1:${backend.port}`, { tls: { ca: authority.cert, ...first } });
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  for (const [name, [options, expected]] of Object.entries(BROKEN)) {
    for (const end of [server, conn]) {
      t.throws(() => end.setSecureContext(options), { message: expected }, name);
      t.throws(() => end.setSecureContext(options), { message: /^(?!.*(routines|error:))/ }, name);
    }
  }
  t.equal((await shake(t, port)).name, 'first');
  t.equal(status(await world.http2Client(proxy.port).call(METHOD, MESSAGE)), '0');
  t.strictSame(backend.clients, ['first']);
});

behaviour('what is not given stays: clients are still checked after a renewal', async (t, world) => {
  const { server, port } = await world.serve({
    tls: { ...first, ca: authority.cert, requestCert: true },
    unknownServiceHandler: () => {},
  });
  server.setSecureContext(second);
  t.equal((await secureClient(t, port, first).call(METHOD, [])).code, 0);
  for (const one of [undefined, identity('stranger', stranger)]) {
    const { code } = await secureClient(t, port, one).call(METHOD, []);
    t.equal(code, grpc.status.UNAVAILABLE);
  }
});

behaviour('authorities that no longer count: a session of before is not resumed', async (t, world) => {
  const { server, port } = await world.serve({ tls: { ...first, ca: authority.cert, requestCert: true } });
  const { socket } = await shake(t, port, second);
  const [session] = (await once(socket, 'session')) as [Buffer];
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const again = await shake(t, port, { ...second, session });
  t.equal(again.socket.isSessionReused(), true, 'else this test tells nothing');
  server.setSecureContext({ ca: stranger.cert });
  const { socket: late } = await shake(t, port, { ...second, session });
  t.equal(late.isSessionReused(), false);
  late.resume();
  await once(late, 'close');
  t.pass('and the certificate is not accepted');
});

behaviour('a backend is checked by new authorities, and shown a new certificate', async (t, world) => {
  const backend = await SecureBackend.start(t, {
    ...first,
    ca: [authority.cert, stranger.cert],
    requestCert: true,
  });
  const conn = world.dial(`https://127.0.0.1:${backend.port}`, { tls: { ca: authority.cert, ...first } });
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  conn.setSecureContext(identity('third', stranger));
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  t.strictSame(backend.clients, ['first'], 'the connection stays');
  await newConnection(conn, backend);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  t.strictSame(backend.clients, ['first', 'third']);
  // A session of before would be resumed without a look at the backend's certificate.
  conn.setSecureContext({ ca: stranger.cert });
  await newConnection(conn, backend);
  const refused = await client.call(METHOD, MESSAGE);
  t.equal(status(refused), '14');
  t.match(decodeURIComponent(message(refused) ?? ''), /TLS: the certificate is from an unknown authority$/);
});

/** Lets the next call make one. */
async function newConnection(conn: ClientConn, backend: SecureBackend): Promise<void> {
  const { sockets } = backend;
  backend.closeConnections();
  await eventually('the connection closes', () => sockets.every((socket) => socket.destroyed));
  await eventually('it is known', () => conn.state.name !== 'READY');
}

behaviour(
  'calls over new connections, while certificates change on all sides: none fails',
  async (t, world) => {
    const identities = Array.from({ length: 20 }, (_, i) => identity(`n${i}`));
    const backend = await SecureBackend.start(t, { ...first, ca: authority.cert, requestCert: true });
    backend.hasOneCallEach = true;
    const options = { tls: { ca: authority.cert, ...first } };
    const conns = Array.from({ length: 4 }, () => world.dial(`https://127.0.0.1:${backend.port}`, options));
    const proxy = await world.proxy(
      (ctx) => ({ primary: { conn: conns[Number(ctx.metadata.get('caller'))]! } }),
      { tls: { ...first, ca: authority.cert, requestCert: true } },
    );
    let done = 0;
    const failed: string[] = [];
    const caller = async (number: number): Promise<void> => {
      while (done < 20 * 2) {
        const wire = { ...TLS, dialOptions: { tls: { ca: authority.cert, ...identities[done % 20] } } };
        const client = new Http2Client(proxy.port, wire);
        const response = await client.call(METHOD, MESSAGE, { caller: String(number) });
        client.destroy();
        if (status(response) !== '0') failed.push(`${status(response)} ${message(response)}`);
        done++;
      }
    };
    const callers = Array.from(conns.keys(), caller);
    for (const [round, each] of identities.entries()) {
      await eventually('calls', () => done >= round * 2);
      proxy.server.setSecureContext(each);
      backend.setSecureContext({ ...each, ca: authority.cert });
      for (const conn of conns) conn.setSecureContext(each);
    }
    await Promise.all(callers);
    t.strictSame(failed, []);
    t.ok(backend.sockets.length >= 40, `${backend.sockets.length} connections to the backend`);
    t.ok(new Set(backend.clients).size > 5, `${new Set(backend.clients).size} certificates have come to it`);
    t.equal((await shake(t, proxy.port, second)).name, 'n19');
  },
);

behaviour('without TLS there is no secure context to set', async (t, world) => {
  const { server, port } = await world.serve({});
  t.throws(() => server.setSecureContext(first), /the server speaks no TLS/);
  t.throws(() => world.dial(port).setSecureContext(first), /TLS to 127\.0\.0\.1:\d+ is not made here/);
});

t.test('TLS options of no use are told when a server, or connections, are made', async (t) => {
  const cases: [object, RegExp][] = [
    [{ cert: first.cert, key: second.key }, /^tls\.key does not belong to the certificate$/],
    [{ cert: 'nonsense', key: 'nonsense' }, /^tls\.cert holds no certificate in PEM$/],
    [{ cert: first.cert }, /^tls\.key is missing: there is a certificate$/],
    [{ key: first.key }, /^tls\.cert is missing: there is a private key$/],
    [{ ca: 'nonsense' }, /^tls\.ca holds no certificate in PEM$/],
  ];
  for (const [options, expected] of cases) {
    t.throws(() => new Server({ tls: options }), { message: expected });
    t.throws(() => dial('https://backend.test', { tls: options }), { message: expected });
  }
  t.throws(() => new Server({ tls: {} }), /^tls\.cert is missing: a server needs cert and key, or pfx/);
  t.throws(() => new Server({ tls: 'yes' as unknown as object }), TypeError);
  t.throws(() => dial('https://a.test', { tls: 'yes' as unknown as object }), TypeError);
  t.throws(() => dial('https://a.test', { tls: { checkServerIdentity: 1 } as object }), TypeError);
});
