import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { Code, encodeMessage, Server, type StreamHandler } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { requestTo } from '../support/fields.js';
import { END, errorCode, Flag, FrameType, headers } from '../support/frame.js';
import { echo as grpcEcho } from '../support/grpc-backend.js';
import { collect } from '../support/grpc-client.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Echo/Bidi';

const echo: StreamHandler = async (stream) => {
  for await (const message of stream) await stream.sendMessage(message);
};

async function connecting(port: number): Promise<unknown> {
  const socket = net.connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    socket.once('error', (error) => resolve(Reflect.get(error, 'code')));
    socket.once('connect', () => {
      socket.destroy();
      resolve('connected');
    });
  });
}

/** Whether a promise is settled once everything that is due has happened. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const late = new Promise((resolve) => setTimeout(resolve, 30, 'late'));
  return (await Promise.race([promise.then(() => 'settled'), late])) === 'settled';
}

async function proxyToEcho(world: World) {
  const backend = await world.grpcBackend({ [METHOD]: grpcEcho });
  const conn = world.dial(backend.port);
  return world.proxy(() => ({ primary: { conn } }));
}

behaviour('close() lets a running call finish, refuses connections, and then resolves', async (t, world) => {
  const { server, port } = await proxyToEcho(world);
  const call = world.grpcClient(port).open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('before'));
  await new Promise((resolve) => call.once('data', resolve));
  const closed = server.close();
  t.equal(await connecting(port), 'ECONNREFUSED', 'no new connections');
  t.equal(await settled(closed), false, 'while a call is running');
  const second = new Promise((resolve) => call.once('data', resolve));
  call.write(Buffer.from('after'));
  t.same(await second, Buffer.from('after'), 'which goes on in both directions');
  call.end();
  const { code, messages } = await result;
  t.equal(code, Code.OK);
  t.same(messages.map(String), ['before', 'after']);
  await closed;
  t.pass('closed');
});

behaviour('close() closes idle connections, and can be called again', async (t, world) => {
  const { server, port } = await world.serve({ unknownServiceHandler: echo });
  const client = world.http2Client(port);
  const response = await client.call(METHOD, encodeMessage(Buffer.from('hello')));
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  const gone = once(client.session, 'close');
  await Promise.all([server.close(), server.close()]);
  await gone;
  t.equal(client.session.destroyed, true);
  await server.close();
});

behaviour('close() of a server that listens nowhere resolves', async (t) => {
  await t.resolves(new Server().close());
});

behaviour('close() answers the calls that its last GOAWAY includes, and no others', async (t, world) => {
  const go = deferred();
  const entered = deferred();
  let started = 0;
  const { server, port } = await world.serve({
    unknownServiceHandler: async () => {
      started++;
      entered.resolve();
      await go.promise;
    },
  });
  const client = await world.frameClient(port);
  await client.first(0, FrameType.SETTINGS);
  client.acknowledges = false;
  client.send(headers(1, requestTo(METHOD), END));
  await entered.promise;
  const closed = server.close();
  await client.first(0, FrameType.GOAWAY);
  // This one was on its way. A client knows by the last GOAWAY whether to send it elsewhere: the engine takes it
  // (RFC 9113 section 6.8, in two steps), nghttp2 takes none after its first GOAWAY.
  client.send(headers(3, requestTo(METHOD), END));
  t.equal(await settled(closed), false, 'the running call is waited for');
  go.resolve();
  await closed;
  await client.closed;
  const goaway = client.of(0, FrameType.GOAWAY).at(-1)!;
  t.equal(errorCode(goaway), http2.constants.NGHTTP2_NO_ERROR);
  const included = [1, 3].filter((id) => id <= goaway.payload.readUInt32BE(0));
  const answers = client.frames.filter(({ type }) => type === FrameType.HEADERS);
  t.same(
    answers.map(({ streamId, flags }) => [streamId, flags & Flag.END_STREAM]),
    included.map((id) => [id, Flag.END_STREAM]),
  );
  t.equal(started, included.length);
});

behaviour('a client that neither calls nor answers does not keep the server open', async (t, world) => {
  const { server, port } = await world.serve({ unknownServiceHandler: echo });
  const client = await world.frameClient(port);
  await client.first(0, FrameType.SETTINGS);
  client.acknowledges = false;
  const started = performance.now();
  await server.close();
  await client.closed;
  t.ok(performance.now() - started < 900, 'not even for long');
  t.equal(client.of(0, FrameType.GOAWAY).length >= 1, true);
});

behaviour('destroy() ends running calls at once, on both sides', async (t, world) => {
  const reset = deferred<number>();
  const backend = await world.http2Backend(({ stream }) => {
    stream.on('close', () => reset.resolve(stream.rstCode));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
  });
  const conn = world.dial(backend.port);
  const finalized = deferred<unknown>();
  const { server, port } = await world.proxy(() => ({
    primary: { conn },
    requestFinalizer: (error) => finalized.resolve(error),
  }));
  const client = world.http2Client(port);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  await new Promise((resolve) => stream.on('response', resolve));
  const closed = server.close();
  server.destroy();
  await closed;
  const { trailers } = await response;
  t.equal(trailers, undefined);
  t.match(await finalized.promise, { code: Code.CANCELLED });
  t.equal(await reset.promise, http2.constants.NGHTTP2_CANCEL, 'the backend is told');
  t.equal(await connecting(port), 'ECONNREFUSED');
});

behaviour('destroy() aborts local handlers', async (t, world) => {
  const entered = deferred();
  const failed = deferred<unknown>();
  const { server, port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      entered.resolve();
      await echo(stream)?.catch((error) => failed.resolve([error, stream.context.signal.aborted]));
    },
  });
  world.http2Client(port).open(METHOD);
  await entered.promise;
  server.destroy();
  t.match(await failed.promise, [{ code: Code.CANCELLED }, true]);
});

behaviour('close() of an attached server waits for its calls, and leaves the rest open', async (t, world) => {
  const owned = http2.createServer();
  const go = deferred();
  const entered = deferred();
  const server = new Server({
    unknownServiceHandler: async () => {
      entered.resolve();
      await go.promise;
    },
  });
  server.attach(owned);
  owned.listen(0, '127.0.0.1');
  await once(owned, 'listening');
  t.teardown(() => owned.close());
  const client = world.http2Client((owned.address() as AddressInfo).port);
  const response = client.call(METHOD, Buffer.alloc(0));
  await entered.promise;
  const closed = server.close();
  t.equal(await settled(closed), false);
  go.resolve();
  t.equal(fieldValue((await response).headers, 'grpc-status'), '0');
  await closed;
  t.equal(client.session.closed, false, 'sessions stay their owner’s');
});
