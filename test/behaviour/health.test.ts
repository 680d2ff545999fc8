import type { ServerHttp2Stream } from 'node:http2';
import { Code, encodeMessage } from '../../lib/index.js';
import { behaviour, type World, waitingBehaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { type BidiCall, echo } from '../support/grpc-backend.js';
import { respond } from '../support/http2-backend.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const WATCH = '/grpc.health.v1.Health/Watch';
const SERVING = Buffer.from([8, 1]);
const NOT_SERVING = Buffer.from([8, 2]);

/** A backend whose every watch of its health the test answers. */
async function watchedBackend(world: World, onWatch: (call: BidiCall, service: Buffer) => void) {
  const calls: BidiCall[] = [];
  const backend = await world.grpcBackend({
    [METHOD]: (call) => {
      calls.push(call);
      echo(call);
    },
    [WATCH]: (call) => {
      call.on('error', () => {});
      call.on('data', (request: Buffer) => onWatch(call, request));
    },
  });
  return { port: backend.port, calls };
}

async function proxied(world: World, target: string | readonly string[], limits = {}) {
  const conn = world.dial(target as string, { healthCheck: { service: 'a.B' }, limits });
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  return { conn, client: world.grpcClient(port) };
}

behaviour('a backend takes calls only while its health is SERVING', async (t, world) => {
  const watch = deferred<BidiCall>();
  const { port } = await watchedBackend(world, (call, request) => {
    t.same(request, Buffer.from([0x0a, 3, ...Buffer.from('a.B')]));
    watch.resolve(call);
  });
  const { conn, client } = await proxied(world, `127.0.0.1:${port}`);
  const first = client.call(METHOD, ['waits']);
  const call = await watch.promise;
  t.equal(conn.state.name, 'CONNECTING', 'before it has said anything');
  call.write(SERVING);
  t.equal((await first).code, Code.OK);
  t.equal(conn.state.name, 'READY');
  call.write(NOT_SERVING);
  await conn.waitForStateChange('READY');
  const refused = await client.call(METHOD, ['fails']);
  t.equal(refused.code, Code.UNAVAILABLE);
  t.match(refused.details, /^cannot connect to .*: it says that it is NOT_SERVING$/);
  call.write(SERVING);
  await conn.waitForStateChange('TRANSIENT_FAILURE');
  t.equal((await client.call(METHOD, ['again'])).code, Code.OK);
});

behaviour('a backend without health checks is fit', async (t, world) => {
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const { client } = await proxied(world, `127.0.0.1:${backend.port}`);
  t.equal((await client.call(METHOD, ['message'])).code, Code.OK);
});

behaviour('an address that does not serve is passed over: no call fails', async (t, world) => {
  const served = await watchedBackend(world, (call) => call.write(SERVING));
  const away = await watchedBackend(world, (call) => call.write(NOT_SERVING));
  const { conn, client } = await proxied(world, [`127.0.0.1:${away.port}`, `127.0.0.1:${served.port}`]);
  for (let i = 0; i < 10; i++) t.equal((await client.call(METHOD, ['message'])).code, Code.OK);
  t.same([away.calls.length, served.calls.length], [0, 10]);
  await eventually('both are known', () =>
    conn.addresses.every(({ state }) => ['READY', 'TRANSIENT_FAILURE'].includes(state.name)),
  );
  t.same(conn.addresses.map(({ state }) => state.name).sort(), ['READY', 'TRANSIENT_FAILURE']);
});

for (const [how, end] of [
  ['fails', (call: BidiCall) => call.emit('error', { code: 13, details: 'broken' })],
  ['says nonsense', (call: BidiCall) => call.write(Buffer.from([8]))],
] as const) {
  waitingBehaviour(`a watch that ${how} is no health, and is begun again after a while`, async (t, world) => {
    const answers = [end, (call: BidiCall) => call.write(SERVING)];
    const { port } = await watchedBackend(world, (call) => answers.shift()?.(call));
    const { conn, client } = await proxied(world, `127.0.0.1:${port}`);
    const { code, details } = await client.call(METHOD, ['message']);
    t.equal(code, Code.UNAVAILABLE);
    t.match(details, /its health cannot be/);
    await within(3000, 'health', conn.waitForStateChange('TRANSIENT_FAILURE'));
    t.equal((await client.call(METHOD, ['message'])).code, Code.OK);
  });
}

behaviour('a watch keeps no connection: neither an idle one, nor one that is closed', async (t, world) => {
  const ended: Promise<void>[] = [];
  const { port } = await watchedBackend(world, (call) => {
    ended.push(new Promise((resolve) => call.once('cancelled', () => resolve())));
    call.write(SERVING);
  });
  const { conn, client } = await proxied(world, `127.0.0.1:${port}`, { idleTimeoutMilliseconds: 100 });
  t.equal((await client.call(METHOD, ['message'])).code, Code.OK);
  await within(3000, 'the end of the idle connection', ended[0]!);
  await eventually('it is idle', () => conn.state.name === 'IDLE');
  t.equal((await client.call(METHOD, ['message'])).code, Code.OK);
  await within(1000, 'close', conn.close());
  await ended[1];
});

behaviour('a watch leaves a connection that its backend is about to close', async (t, world) => {
  const watches: ServerHttp2Stream[] = [];
  const backend = await world.http2Backend(async ({ stream, headers, body }) => {
    if (headers[':path'] !== WATCH) {
      await body();
      respond(stream, encodeMessage(SERVING));
      return;
    }
    watches.push(stream);
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.write(encodeMessage(SERVING));
  });
  const { client } = await proxied(world, `127.0.0.1:${backend.port}`);
  t.equal((await client.call(METHOD, ['message'])).code, Code.OK);
  const left = new Promise((resolve) => watches[0]!.once('aborted', resolve));
  // GOAWAY, and the end once nothing runs.
  backend.sessions[0]!.close();
  await within(2000, 'the end of the watch', left);
  t.equal((await client.call(METHOD, ['message'])).code, Code.OK);
  t.equal(watches.length, 2);
});

behaviour('an address whose watch is lost with one connection of several goes on', async (t, world) => {
  const watches: ServerHttp2Stream[] = [];
  const held: ServerHttp2Stream[] = [];
  const backend = await world.http2Backend(
    async ({ stream, headers, body }) => {
      if (headers[':path'] === WATCH) {
        watches.push(stream);
        stream.resume();
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        // The second watch has nothing to say yet.
        if (watches.length === 1) stream.write(encodeMessage(SERVING));
        return;
      }
      await body();
      if (held.length < 2) held.push(stream);
      else respond(stream, encodeMessage(SERVING));
    },
    { settings: { maxConcurrentStreams: 2 } },
  );
  const { conn, client } = await proxied(world, `127.0.0.1:${backend.port}`);
  const first = client.call(METHOD, ['on the first connection']);
  await eventually('the first', () => held.length === 1);
  const second = client.call(METHOD, ['on another']);
  await eventually('the second', () => held.length === 2);
  const states: string[] = [];
  const watching = (async () => {
    while (states.at(-1) !== 'SHUTDOWN') {
      states.push((await conn.waitForStateChange(conn.state.name)).name);
    }
  })();
  watches[0]!.session!.destroy();
  t.equal((await first).code, Code.UNAVAILABLE);
  await eventually('another watch', () => watches.length === 2);
  t.equal((await client.call(METHOD, ['meanwhile'])).code, Code.OK);
  respond(held[1]!, encodeMessage(SERVING));
  t.equal((await second).code, Code.OK);
  conn.destroy();
  await watching;
  t.same(states, ['SHUTDOWN']);
});
