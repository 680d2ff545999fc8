import { once } from 'node:events';
import t from 'tap';
import { healthService } from '../../lib/admin/health-service.js';
import {
  type AddressJson,
  adminServer,
  type BackendJson,
  type CallJson,
  callStatistics,
  mergeBackends,
  mergeCalls,
  processSource,
} from '../../lib/admin/index.js';
import { compareResponses, encodeMessage, type StreamDirector } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { respond } from '../support/http2-backend.js';
import { ask, eventsOf } from './raw-http.js';

const MESSAGE = encodeMessage(Buffer.from('message'));

/** A proxy with an admin endpoint, and what is asked of that. */
async function administered(
  t: import('tap').Test,
  world: World,
  director: StreamDirector,
  backends: Record<string, ReturnType<World['dial']>>,
) {
  const proxy = await world.proxy(director);
  const statistics = callStatistics(proxy.server);
  const admin = adminServer(processSource({ server: proxy.server, backends, statistics }));
  t.teardown(() => admin.close());
  const url = await admin.start();
  const json = async (path: string) => JSON.parse((await ask(url, path)).body);
  return { ...proxy, statistics, url, json };
}

behaviour('an endpoint takes a server and its connections', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => respond(stream, MESSAGE));
  const conn = world.dial(backend.port);
  const { server } = await world.proxy(() => ({ primary: { conn } }));
  const admin = adminServer(processSource({ server, backends: { files: conn } }));
  const url = await admin.start();
  t.equal((await ask(url, '/readyz')).status, 200);
  t.equal((await ask(url, '/')).status, 200);
  server.destroy();
  const { status, body } = await ask(url, '/readyz');
  t.strictSame([status, body.trim()], [503, 'draining']);
  await admin.close();
});

behaviour('statistics are what clients have seen', async (t, world) => {
  const held = deferred<void>();
  const backend = await world.http2Backend(async ({ stream, headers, body }) => {
    await body();
    if (headers[':path'] === '/test.Service/Fail') {
      respond(stream, MESSAGE, { 'grpc-status': '13', 'grpc-message': 'it is broken' });
    } else if (headers[':path'] === '/test.Service/Hang') held.resolve();
    else respond(stream, MESSAGE);
  });
  const gone = world.dial(await freePort());
  const conn = world.dial(backend.port);
  const { port, statistics } = await administered(
    t,
    world,
    (_ctx, method) => ({ primary: { conn: method.includes('Gone') ? gone : conn }, route: 'a route' }),
    { files: conn, gone },
  );
  const client = world.http2Client(port);
  for (let i = 0; i < 3; i++) await client.call('/test.Service/Say', MESSAGE);
  for (let i = 0; i < 2; i++) await client.call('/test.Service/Fail', MESSAGE);
  await client.call('/test.Service/Gone', MESSAGE);
  const hanging = client.open('/test.Service/Hang', {}, true);
  hanging.end(MESSAGE);
  await held.promise;
  t.equal(statistics.snapshot().running, 1);
  hanging.close(8);
  await eventually('it has ended', () => statistics.snapshot().running === 0);
  const { methods, failures } = statistics.snapshot();
  const told = methods.map(({ route, method, calls, failed, cancelled }) => [
    route,
    method,
    calls,
    failed,
    cancelled,
  ]);
  t.strictSame(told, [
    ['a route', '/test.Service/Say', 3, 0, 0],
    ['a route', '/test.Service/Fail', 2, 2, 0],
    ['a route', '/test.Service/Gone', 1, 1, 0],
    ['a route', '/test.Service/Hang', 1, 0, 1],
  ]);
  t.match(failures, [
    { reason: 'backend_status', code: 'INTERNAL', targets: [conn.target], count: 2, message: 'it is broken' },
    { reason: 'backend_connect', code: 'UNAVAILABLE', targets: [gone.target], count: 1 },
    { reason: 'client_cancelled', code: 'CANCELLED', count: 1 },
  ]);
});

behaviour('/calls lists what runs, the oldest first', async (t, world) => {
  const begun: string[] = [];
  const backend = await world.http2Backend(({ stream, headers }) => {
    stream.on('data', () => {});
    begun.push(String(headers[':path']));
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(Buffer.concat([MESSAGE, MESSAGE]));
  });
  const conn = world.dial(backend.port);
  const { port, json } = await administered(t, world, () => ({ primary: { conn } }), { files: conn });
  const client = world.http2Client(port);
  for (const path of ['/test.Service/First', '/test.Service/Second']) {
    const call = client.open(path);
    call.write(MESSAGE);
    await once(call, 'data');
  }
  const calls = (await json('/calls')) as CallJson[];
  t.strictSame(
    calls.map(({ method }) => method),
    ['/test.Service/First', '/test.Service/Second'],
  );
  const { peer, startedAt, durationMs, ...first } = calls[0]!;
  t.strictSame(first, {
    method: '/test.Service/First',
    primary: conn.target,
    messagesSent: 2,
    messagesReceived: 1,
    bytesSent: 14,
    bytesReceived: 7,
    state: 'streaming',
  });
  t.match(peer, /^127\.0\.0\.1:\d+$/);
  t.match(startedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  t.ok(Math.abs(Date.parse(startedAt) + durationMs - Date.now()) < 2000);
});

behaviour('/backends tells of each address, and what failed last', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, MESSAGE);
  });
  const conn = world.dial(backend.port);
  const gone = world.dial(await freePort());
  const { port, json } = await administered(
    t,
    world,
    (_ctx, method) => ({ primary: { conn: method.includes('Gone') ? gone : conn } }),
    { files: conn, gone },
  );
  t.match(await json('/backends'), [
    { name: 'files', state: 'IDLE' },
    { name: 'gone', state: 'IDLE' },
  ]);
  const client = world.http2Client(port);
  await client.call('/test.Service/Say', MESSAGE);
  await client.call('/test.Service/Gone', MESSAGE);
  const [files, failing] = (await json('/backends')) as BackendJson[];
  t.strictSame(files, {
    name: 'files',
    target: conn.target,
    loadBalancing: 'round_robin',
    state: 'READY',
    addresses: [
      {
        address: conn.target,
        state: 'READY',
        connections: 1,
        calls: 0,
        ejected: false,
        lastError: null,
        lastErrorAt: null,
      },
    ],
  });
  t.match(failing, {
    name: 'gone',
    state: 'TRANSIENT_FAILURE',
    addresses: [{ state: 'TRANSIENT_FAILURE', connections: 0, lastError: /connection refused/ }],
  });
  t.ok(Date.now() - Date.parse(failing!.addresses[0]!.lastErrorAt!) < 5000);
});

behaviour('shadows are counted, and what comparing them says', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, MESSAGE);
  });
  const other = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, Buffer.concat([MESSAGE, MESSAGE]));
  });
  const [conn, shadow] = [world.dial(backend.port), world.dial(other.port)];
  const { port, statistics, url } = await administered(
    t,
    world,
    () =>
      compareResponses(
        { primary: { conn }, shadows: [{ conn: shadow }] },
        { onVerdict: (verdict) => statistics.onVerdict(verdict) },
      ),
    { files: conn },
  );
  await world.http2Client(port).call('/test.Service/Say', MESSAGE);
  const events = eventsOf(url);
  for (;;) {
    const { shadows } = (await events.next()).value as { shadows: { compared: { different: number } }[] };
    if (shadows[0]?.compared.different !== 1) continue;
    t.match(shadows, [{ role: 'shadow', target: shadow.target, results: { ok: 1, error: 0 } }]);
    break;
  }
  await events.return(undefined);
});

behaviour('health calls that are answered here are in no list', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => respond(stream, MESSAGE));
  const conn = world.dial(backend.port);
  const { server, port, statistics, json } = await administered(t, world, () => ({ primary: { conn } }), {});
  healthService(server);
  const client = world.http2Client(port);
  await client.call('/grpc.health.v1.Health/Check', encodeMessage(Buffer.alloc(0)));
  const watch = client.open('/grpc.health.v1.Health/Watch');
  watch.end(encodeMessage(Buffer.alloc(0)));
  await once(watch, 'data');
  t.strictSame(await json('/calls'), []);
  t.match(statistics.snapshot(), { running: 0, methods: [], failures: [] });
});

const ADDRESS: AddressJson = {
  address: 'a:1',
  state: 'READY',
  connections: 1,
  calls: 2,
  ejected: false,
  lastError: null,
  lastErrorAt: null,
};
const BACKEND: BackendJson = {
  name: 'files',
  target: 'a:1',
  loadBalancing: 'round_robin',
  state: 'READY',
  addresses: [ADDRESS],
};

t.test('the backends of several processes are as those of one', async (t) => {
  const failed = (lastError: string, lastErrorAt: string, state: AddressJson['state']): BackendJson => ({
    ...BACKEND,
    state,
    addresses: [{ ...ADDRESS, state, calls: 0, connections: 0, lastError, lastErrorAt }],
  });
  const [merged, ...rest] = mergeBackends([
    [failed('late', '2026-01-01T00:00:02.000Z', 'TRANSIENT_FAILURE')],
    [BACKEND],
    [failed('early', '2026-01-01T00:00:01.000Z', 'IDLE')],
    [{ ...BACKEND, name: 'other', addresses: [{ ...ADDRESS, address: 'b:1', ejected: true }] }],
  ]);
  t.strictSame(merged, {
    ...BACKEND,
    addresses: [{ ...ADDRESS, lastError: 'late', lastErrorAt: '2026-01-01T00:00:02.000Z' }],
  });
  t.strictSame(
    rest.map(({ name }) => name),
    ['other'],
  );
  const down = mergeBackends([
    [failed('x', '2026-01-01T00:00:02.000Z', 'IDLE')],
    [failed('y', '2026-01-01T00:00:02.000Z', 'TRANSIENT_FAILURE')],
  ]);
  t.equal(down[0]!.state, 'TRANSIENT_FAILURE', 'that no call has found out in the other says nothing');
});

t.test('the calls of several processes are as those of one, and at most 1000', async (t) => {
  const call = (durationMs: number): CallJson => ({
    method: '/a.B/C',
    peer: '',
    startedAt: '',
    durationMs,
    primary: null,
    messagesSent: 0,
    messagesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    state: 'directing',
  });
  const merged = mergeCalls([[call(30), call(10)], [call(20)]]);
  t.strictSame(
    merged.map(({ durationMs }) => durationMs),
    [30, 20, 10],
  );
  t.equal(
    mergeCalls([Array.from({ length: 900 }, () => call(1)), Array.from({ length: 900 }, () => call(2))])
      .length,
    1000,
  );
});
