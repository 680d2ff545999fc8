import http2 from 'node:http2';
import {
  Code,
  encodeMessage,
  registerService,
  registerStreamHandlers,
  Server,
  type ServerStream,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { echo } from '../support/grpc-backend.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';

const HELLO = encodeMessage(Buffer.from('hello'));

function nothing(): void {}

/** A server that counts the calls it was given. */
async function counting(world: World) {
  const calls: ServerStream[] = [];
  const { port } = await world.serve({ unknownServiceHandler: (stream) => void calls.push(stream) });
  return { calls, client: world.http2Client(port) };
}

behaviour('a method other than POST is answered with HTTP 405, and no gRPC', async (t, world) => {
  const { calls, client } = await counting(world);
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const response = await client.call('/test.Echo/Bidi', Buffer.alloc(0), { ':method': method });
    t.equal(fieldValue(response.headers, ':status'), '405', method);
    t.equal(fieldValue(response.headers, 'allow'), 'POST', 'and says what is allowed');
    t.equal(fieldValue(response.headers, 'grpc-status'), undefined, 'without a gRPC status');
    t.equal(response.trailersOnly, true, 'and without a body');
  }
  t.equal(calls.length, 0, 'no handler ran');
});

behaviour("a content-type that is not gRPC's is answered with HTTP 415", async (t, world) => {
  const { calls, client } = await counting(world);
  const refused = [
    'application/json',
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpc-web-text',
    'application/grpcx',
    'text/plain; application/grpc',
    '',
  ];
  for (const type of refused) {
    const response = await client.call('/test.Echo/Bidi', HELLO, { 'content-type': type });
    t.equal(fieldValue(response.headers, ':status'), '415', JSON.stringify(type));
    t.equal(fieldValue(response.headers, 'grpc-status'), undefined, 'without a gRPC status');
  }
  t.equal(calls.length, 0, 'no handler ran');

  const stream = client.session.request({ ':method': 'POST', ':path': '/test.Echo/Bidi' });
  const status = await new Promise((resolve) => {
    stream.on('response', (headers) => resolve(headers[':status']));
  });
  t.equal(status, 415, 'no content-type at all');
});

behaviour('each form of the gRPC content-type is accepted', async (t, world) => {
  const { calls, client } = await counting(world);
  const accepted = [
    'application/grpc',
    'application/grpc+proto',
    'application/grpc+json',
    'application/grpc+thrift',
    'application/grpc;charset=utf-8',
    'application/grpc ; charset=utf-8',
    'Application/gRPC',
  ];
  for (const type of accepted) {
    const response = await client.call('/test.Echo/Bidi', HELLO, { 'content-type': type });
    t.equal(fieldValue(response.headers, ':status'), '200', type);
    t.equal(fieldValue(response.headers, 'grpc-status'), '0', 'with a gRPC status');
  }
  t.equal(calls.length, accepted.length);
});

behaviour('a request that is refused before its body is in does not keep the stream', async (t, world) => {
  const { client } = await counting(world);
  const stream = client.open('/test.Echo/Bidi', { 'content-type': 'text/plain' });
  stream.write(HELLO);
  const status = await new Promise((resolve) => {
    stream.on('response', (headers) => resolve(headers[':status']));
  });
  stream.resume();
  await new Promise((resolve) => stream.on('close', resolve));
  t.equal(status, 415);
  t.equal(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR, 'RST_STREAM(NO_ERROR) ends it');
});

behaviour('a call without te is accepted, and the backend gets te: trailers', async (t, world) => {
  const te: unknown[] = [];
  const backend = await world.http2Backend(({ stream, headers }) => {
    te.push(headers.te);
    respond(stream);
  });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(port);
  const { headers, trailers, trailersOnly } = await client.call('/test.Echo/Bidi', HELLO, { te: undefined });
  t.equal(fieldValue(trailersOnly ? headers : trailers, 'grpc-status'), '0');
  t.same(te, ['trailers']);
});

behaviour('a path that is not /service/method is UNIMPLEMENTED', async (t, world) => {
  const { calls, client } = await counting(world);
  for (const path of ['/', '/service', '/service/', '//method', '//']) {
    const response = await client.call(path, HELLO);
    t.equal(response.trailersOnly, true);
    t.equal(fieldValue(response.headers, ':status'), '200');
    t.equal(fieldValue(response.headers, 'grpc-status'), String(Code.UNIMPLEMENTED), path);
    t.equal(fieldValue(response.headers, 'grpc-message'), `malformed method name: "${path}"`);
  }
  t.equal(calls.length, 0, 'no handler ran');
});

behaviour('a malformed grpc-timeout is INTERNAL, and never ignored or forwarded', async (t, world) => {
  const { calls, client } = await counting(world);
  const malformed = [
    '',
    '1',
    'S',
    '1s',
    '1 S',
    '-1S',
    '+1S',
    '1.5S',
    '123456789S',
    '1SS',
    '0x1S',
    '1S1',
    '١S',
  ];
  for (const timeout of malformed) {
    const response = await client.call('/test.Echo/Bidi', HELLO, { 'grpc-timeout': timeout });
    t.equal(response.trailersOnly, true);
    t.equal(fieldValue(response.headers, 'grpc-status'), String(Code.INTERNAL), JSON.stringify(timeout));
    t.match(fieldValue(response.headers, 'grpc-message'), /^malformed grpc-timeout: /);
  }
  t.equal(calls.length, 0, 'no handler ran');
});

behaviour('timeouts up to eight digits of hours neither overflow nor end the call', async (t, world) => {
  const { calls, client } = await counting(world);
  const before = Date.now();
  const timeouts: [text: string, milliseconds: number][] = [
    ['99999999H', 99_999_999 * 3_600_000],
    ['99999999M', 99_999_999 * 60_000],
    ['99999999S', 99_999_999 * 1000],
    // Just over what setTimeout can wait, which would make it wait for 1 ms.
    ['2147484S', 2_147_484_000],
    ['99999999m', 99_999_999],
    ['99999999u', 99_999.999],
  ];
  for (const [text, milliseconds] of timeouts) {
    const response = await client.call('/test.Echo/Bidi', HELLO, { 'grpc-timeout': text });
    t.equal(fieldValue(response.headers, 'grpc-status'), '0', text);
    const wait = calls.at(-1)!.deadline! - before;
    t.ok(wait > milliseconds - 1000 && wait < milliseconds + 10_000, `deadline in ${wait} ms`);
  }
});

behaviour('a call with a timeout beyond setTimeout is still there after a while', async (t, world) => {
  const started = deferred();
  const { port } = await world.serve({ unknownServiceHandler: () => started.promise });
  const client = world.http2Client(port);
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): unknown => warnings.push(name);
  process.on('warning', onWarning);
  t.teardown(() => process.off('warning', onWarning));
  const response = client.call('/test.Echo/Bidi', HELLO, { 'grpc-timeout': '99999999H' });
  const first = await Promise.race([
    response.then(() => 'response'),
    new Promise((resolve) => setTimeout(resolve, 50, 'waiting')),
  ]);
  t.equal(first, 'waiting');
  t.notOk(warnings.includes('TimeoutOverflowWarning'), 'and no timer has spun');
  started.resolve();
  t.equal(fieldValue((await response).headers, 'grpc-status'), '0');
});

behaviour('a timeout of zero, or of next to nothing, ends in DEADLINE_EXCEEDED', async (t, world) => {
  const { port } = await world.serve({ unknownServiceHandler: () => new Promise(nothing) });
  const client = world.http2Client(port);
  for (const timeout of ['0n', '0S', '0H', '00000000m', '1n', '1m']) {
    const response = await client.call('/test.Echo/Bidi', HELLO, { 'grpc-timeout': timeout });
    t.equal(fieldValue(response.headers, 'grpc-status'), String(Code.DEADLINE_EXCEEDED), timeout);
  }
});

behaviour(
  'a registered method runs its handler, another goes to the unknown-service handler',
  async (t, world) => {
    const ran: string[] = [];
    const { port } = await world.serve(
      { unknownServiceHandler: (stream) => void ran.push(`unknown ${stream.method}`) },
      (server) => {
        registerStreamHandlers(server, 'test.Known', {
          One: (stream) => void ran.push(`one ${stream.method}`),
          Two: (stream) => void ran.push(`two ${stream.method}`),
        });
      },
    );
    const client = world.grpcClient(port);
    for (const method of ['/test.Known/One', '/test.Known/Two', '/test.Known/Three', '/test.Other/One']) {
      t.equal((await client.call(method, [])).code, Code.OK, method);
    }
    t.same(ran, [
      'one /test.Known/One',
      'two /test.Known/Two',
      'unknown /test.Known/Three',
      'unknown /test.Other/One',
    ]);
  },
);

behaviour('names of Object.prototype are no methods', async (t, world) => {
  const { port } = await world.serve({}, (server) => {
    registerStreamHandlers(server, 'test.Known', { One: nothing });
  });
  const client = world.grpcClient(port);
  for (const method of ['constructor', 'toString', '__proto__']) {
    const { code, details } = await client.call(`/test.Known/${method}`, []);
    t.equal(code, Code.UNIMPLEMENTED);
    t.equal(details, `unknown method ${method} for service test.Known`);
  }
});

behaviour('without an unknown-service handler the rest is UNIMPLEMENTED, and says why', async (t, world) => {
  const { port } = await world.serve({}, (server) => {
    registerStreamHandlers(server, 'test.Known', { One: nothing });
  });
  const client = world.grpcClient(port);
  const service = await client.call('/test.Other/One', []);
  t.equal(service.code, Code.UNIMPLEMENTED);
  t.equal(service.details, 'unknown service test.Other');
  const method = await client.call('/test.Known/Three', []);
  t.equal(method.code, Code.UNIMPLEMENTED);
  t.equal(method.details, 'unknown method Three for service test.Known');
});

behaviour('registerService proxies the methods that it names, and no others', async (t, world) => {
  const backend = await world.grpcBackend({ '/test.Echo/Bidi': echo, '/test.Echo/Hidden': echo });
  const conn = world.dial(backend.port);
  const { port } = await world.serve({}, (server) => {
    registerService(server, () => ({ primary: { conn } }), 'test.Echo', 'Bidi');
  });
  const client = world.grpcClient(port);
  const { code, messages } = await client.call('/test.Echo/Bidi', ['hello']);
  t.equal(code, Code.OK);
  t.same(messages, [Buffer.from('hello')]);
  const hidden = await client.call('/test.Echo/Hidden', ['hello']);
  t.equal(hidden.code, Code.UNIMPLEMENTED);
  t.equal(hidden.details, 'unknown method Hidden for service test.Echo');
});

behaviour('a service that is registered twice throws, and names the service', async (t) => {
  const server = new Server();
  registerStreamHandlers(server, 'test.Known', { One: nothing });
  t.throws(() => registerStreamHandlers(server, 'test.Known', { Two: nothing }), /"test\.Known"/);
  const director = () => Promise.reject(new Error('not called'));
  t.throws(() => registerService(server, director, 'test.Known', 'One'), /"test\.Known"/);
  t.doesNotThrow(() => registerService(server, director, 'test.Other', 'One'));
});
