import { createPrivateKey } from 'node:crypto';
import { Metadata as GrpcMetadata, type ServiceError, status } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { handleStream, transparentHandler } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { failWith } from '../support/grpc-backend.js';
import type { CallResult } from '../support/grpc-client.js';
import { untyped } from '../support/hostile-values.js';
import { ProcessEvents } from '../support/process-events.js';
import { ECHO, FAIL, ProxiedCalls } from '../support/proxied-calls.js';
import { secondCopy } from '../support/second-copy.js';

// Errors, and objects, of other code than this copy of the package: grpc-js, OpenSSL, another copy.

const DETAILS = 'grpc-status-details-bin';
const other = await secondCopy(t);

/** What calls end by whose handler, interceptor or director has thrown a value. */
async function ends(t: Test, world: World, thrown: unknown): Promise<CallResult[]> {
  const events = new ProcessEvents(t);
  const fail = () => Promise.reject(thrown);
  const { port } = await world.serve(
    {
      interceptors: [(stream, next) => (stream.method === '/test.Intercepted/Call' ? fail() : next())],
      unknownServiceHandler: transparentHandler(fail),
    },
    (server) => server.register('test.Handled', { Call: fail }),
  );
  const client = world.grpcClient(port);
  const services = ['Handled', 'Intercepted', 'Directed'];
  const results = await Promise.all(services.map((name) => client.call(`/test.${name}/Call`, ['hi'])));
  await events.settled();
  t.strictSame(events.fatal, []);
  return results;
}

behaviour('an error of grpc-js ends a call with its code, details and metadata', async (t, world) => {
  const metadata = new GrpcMetadata();
  metadata.set('reason', 'quota');
  metadata.set(DETAILS, Buffer.from('details'));
  const backend = await world.grpcBackend({
    [FAIL]: failWith(status.RESOURCE_EXHAUSTED, 'tôo many', metadata),
  });
  const failed = deferred<ServiceError>();
  const call = world.grpcClient(backend.port).open(FAIL);
  call.on('error', (error) => failed.resolve(untyped(error)));
  call.resume().end();
  for (const { code, details, trailers } of await ends(t, world, await failed.promise)) {
    t.strictSame([code, details], [status.RESOURCE_EXHAUSTED, 'tôo many']);
    t.strictSame(trailers.get('reason'), ['quota']);
    t.strictSame(trailers.get(DETAILS), [Buffer.from('details')]);
  }
});

behaviour(
  'a StatusError of another copy of the package ends a call as one of this does',
  async (t, world) => {
    const trailers = { reason: 'quota', [DETAILS]: Buffer.from('details') };
    const thrown = new other.StatusError(other.Code.FAILED_PRECONDITION, 'nót now', trailers);
    for (const { code, details, trailers } of await ends(t, world, thrown)) {
      t.strictSame([code, details], [status.FAILED_PRECONDITION, 'nót now']);
      t.strictSame(trailers.get('reason'), ['quota']);
      t.strictSame(trailers.get(DETAILS), [Buffer.from('details')]);
    }
  },
);

behaviour('a code that is not gRPC’s is UNKNOWN, and a system error is', async (t, world) => {
  for (const [properties, text] of [
    [{ code: 0, details: 'd', metadata: new GrpcMetadata() }, 'fine'],
    [{ code: 99, details: 'd', metadata: new GrpcMetadata() }, 'odd'],
    [{ code: 'ECONNREFUSED', errno: -111, syscall: 'connect' }, 'connect ECONNREFUSED 127.0.0.1:1'],
  ] as const) {
    for (const { code, details } of await ends(t, world, Object.assign(new Error(text), properties))) {
      t.strictSame([code, details], [status.UNKNOWN, text]);
    }
  }
});

behaviour('metadata of a foreign error that no client takes is left out', async (t, world) => {
  const metadata = new GrpcMetadata();
  metadata.set('first', 'kept');
  for (let i = 0; i < 1000; i++) metadata.add(`x-large-${i}`, 'x'.repeat(1000));
  metadata.set('huge', 'x'.repeat(1_000_000));
  metadata.set(DETAILS, Buffer.from('details'));
  const calls = await ProxiedCalls.start(t, world);
  const thrown = Object.assign(new Error(), { code: status.ABORTED, details: 'd'.repeat(10_000), metadata });
  const { code, trailers } = await calls.direct(() => Promise.reject(thrown));
  t.equal(code, status.ABORTED);
  t.strictSame(trailers.get('first'), ['kept']);
  t.strictSame(trailers.get('huge'), []);
  t.strictSame(trailers.get(DETAILS), [Buffer.from('details')]);
  t.ok(JSON.stringify(trailers).length < 17_000);
});

behaviour("OpenSSL's own text is not told to clients", async (t, world) => {
  let thrown: unknown;
  try {
    createPrivateKey('-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----');
  } catch (error) {
    thrown = error;
  }
  for (const { code, details } of await ends(t, world, thrown)) {
    t.equal(code, status.UNKNOWN);
    t.match(details, /^OpenSSL error \(ERR_OSSL_\w+\)$/);
  }
});

behaviour(
  'connections and calls of another copy of the package are refused, and it says why',
  async (t, world) => {
    const calls = await ProxiedCalls.start(t, world);
    const conn = other.dial(calls.conn.target, { transport: world.transports.client });
    t.teardown(() => conn.destroy());
    const text = /: this one is of another copy of grpc-frame-proxy in this process$/;
    const byConn = await calls.call(() => ({ primary: { conn: untyped(conn) } }));
    t.match(byConn, { code: status.UNKNOWN, details: text });

    const server = new other.Server({
      transport: world.transports.server,
      unknownServiceHandler: untyped(transparentHandler(() => ({ primary: { conn: calls.conn } }))),
      interceptors: [
        async (stream, next) => {
          if (stream.method === ECHO) await next();
          else await handleStream(untyped(stream), ECHO, { primary: { conn: calls.conn } });
        },
      ],
    });
    t.teardown(() => server.destroy());
    const { port } = (await server.listen('127.0.0.1:0')) as { port: number };
    const client = world.grpcClient(port);
    for (const method of [ECHO, FAIL]) {
      t.match(await client.call(method, ['hi']), { code: status.INTERNAL, details: text }, method);
    }
  },
);
