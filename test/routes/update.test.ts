import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ConfigError, type RoutingInput, routeDirector } from '../../lib/routes/index.js';
import { Authority } from '../support/authority.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { type OnRequest, type Request, respond } from '../support/http2-backend.js';
import { SecureBackend } from '../support/secure-backend.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';
import { backends, routed } from './routed.js';

/** Answers when the test says so. */
function held() {
  const requests: Request[] = [];
  const isThere = deferred();
  const onRequest: OnRequest = (request) => {
    requests.push(request);
    isThere.resolve();
  };
  return {
    onRequest,
    isThere: isThere.promise,
    answer: () => requests.map(({ stream }) => respond(stream, MESSAGE)),
  };
}

const to = (primary: string): RoutingInput['routes'] => [{ match: {}, primary }];

behaviour(
  'a new config directs the calls that come, and running ones finish where they are',
  async (t, world) => {
    const old = held();
    const { config, requests } = await backends(world, ['files', old.onRequest], 'next');
    const transport = world.transports.client;
    const { client, director } = await routed(t, world, {
      backends: { files: config.files },
      routes: to('files'),
    });
    const gone = director.backends.get('files')!;
    const running = client.call(METHOD, MESSAGE);
    await old.isThere;
    director.update({
      transport,
      backends: { next: config.next },
      routes: [{ name: 'new', match: { service: 'test.*', method: 'A' }, primary: 'next' }, ...to('next')!],
    });
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.equal(requests.next.length, 1);
    t.strictSame([...director.backends.keys()], ['next']);
    t.strictSame(director.routes, ['new', '2']);
    t.equal(gone.state.name, 'READY', 'it has a call');
    old.answer();
    t.equal(status(await running), '0');
    await eventually('its connections close', () => gone.state.name === 'SHUTDOWN');
  },
);

behaviour(
  'a call that waits for a connection still gets it, though its backend is no more in the config',
  async (t, world) => {
    const { config, requests } = await backends(world, 'files', 'next');
    const isThere = deferred();
    // One stream at a time: the second call waits.
    const narrow = await world.http2Backend(
      (request) => {
        taken.push(request);
        if (taken.length === 1) isThere.resolve();
        else respond(request.stream, MESSAGE);
      },
      { settings: { maxConcurrentStreams: 1 } },
    );
    const taken: Request[] = [];
    const transport = world.transports.client;
    const { client, director } = await routed(t, world, {
      backends: { files: { target: `127.0.0.1:${narrow.port}`, maxConnections: 1 } },
      routes: to('files'),
    });
    const gone = director.backends.get('files')!;
    const first = client.call(METHOD, MESSAGE);
    await isThere.promise;
    const second = client.call(METHOD, MESSAGE);
    await eventually('both have begun', () => gone.channel.calls === 2);
    director.update({ transport, backends: { files: config.next }, routes: to('files') });
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.equal(requests.next.length, 1);
    await new Promise((resolve) => setTimeout(resolve, 250));
    t.equal(gone.state.name, 'READY');
    respond(taken[0]!.stream, MESSAGE);
    t.equal(status(await first), '0');
    t.equal(status(await second), '0');
    await eventually('its connections close', () => gone.state.name === 'SHUTDOWN');
  },
);

behaviour('connections to backends that both configs have are kept', async (t, world) => {
  const { config, servers } = await backends(world, 'files', 'next', 'third');
  const transport = world.transports.client;
  const keepalive = { time: '20s' };
  const { client, director } = await routed(t, world, {
    backends: {
      files: { ...config.files, keepalive, maxConnections: 2 },
      next: config.next,
      third: config.third,
    },
    routes: to('files'),
  });
  await client.call(METHOD, MESSAGE);
  const before = director.backends;
  const [files, next, third] = ['files', 'next', 'third'].map((name) => before.get(name)!);
  director.update({
    transport,
    routes: to('files'),
    // In another order, and the last is another one.
    backends: {
      next: config.next,
      third: { ...config.third, maxConnections: 5 },
      files: { maxConnections: 2, keepalive, ...config.files },
    },
  });
  t.equal(director.backends.get('files'), files);
  t.equal(director.backends.get('next'), next);
  t.not(director.backends.get('third'), third);
  t.equal(before.get('third'), third, 'the map that somebody has stays as it is');
  await eventually('what is not used closes', () => third!.state.name === 'SHUTDOWN');
  await client.call(METHOD, MESSAGE);
  t.equal(servers.files.sessions.length, 1, 'by the same connection');
  director.update({
    transport: transport === 'http2' ? 'frames' : 'http2',
    backends: { files: { maxConnections: 2, keepalive, ...config.files } },
    routes: to('files'),
  });
  t.not(director.backends.get('files'), files, 'another transport makes others');
});

behaviour('a config with mistakes changes nothing', async (t, world) => {
  const { config } = await backends(world, 'files');
  const { client, director } = await routed(t, world, { backends: config, routes: to('files') });
  const { backends: conns, routes } = director;
  const wrong: RoutingInput[] = [
    { backends: {}, routes: to('files') },
    { backends: config, routes: [] },
    { backends: { files: { target: 'a:1', tls: { ca: '/nonexistent/ca.pem' } } }, routes: to('files') },
    { backends: config },
  ];
  for (const each of wrong) t.throws(() => director.update(each), ConfigError);
  t.throws(() => director.update(wrong[2]!), {
    message: 'backends.files.tls.ca: "/nonexistent/ca.pem" cannot be read: there is no such file',
  });
  t.equal(director.backends, conns);
  t.equal(director.routes, routes);
  t.equal(conns.get('files')!.state.name, 'IDLE');
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
});

behaviour('a director that is closed lets running calls finish, and takes no more', async (t, world) => {
  const old = held();
  const { config } = await backends(world, ['files', old.onRequest], 'next');
  const transport = world.transports.client;
  const { client, director } = await routed(t, world, { backends: config, routes: to('files') });
  const running = client.call(METHOD, MESSAGE);
  await old.isThere;
  director.update({ transport, backends: { next: config.next }, routes: to('next') });
  const closed = director.close();
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
  t.throws(() => director.update({ backends: config, routes: to('files') }), /closed/);
  old.answer();
  t.equal(status(await running), '0', 'also on a backend that is no more in the config');
  await closed;
});

const NAMES = ['DNS:localhost', 'IP:127.0.0.1'];

/** A folder with files. */
async function folder(t: Test, files: Record<string, string>) {
  const path = await mkdtemp(join(tmpdir(), 'routes-'));
  t.teardown(() => rm(path, { recursive: true }));
  const at = (name: string): string => join(path, name);
  const write = (name: string, content: string): Promise<void> => writeFile(at(name), content);
  for (const [name, content] of Object.entries(files)) await write(name, content);
  return { at, write };
}

async function secure(t: Test, world: World) {
  const [authority, stranger] = [new Authority(), new Authority('stranger')];
  const [one, two] = [authority.issue({ name: 'one' }), authority.issue({ name: 'two' })];
  const server = authority.issue({ name: 'backend', altNames: NAMES });
  const backend = await SecureBackend.start(t, { ...server, ca: authority.cert, requestCert: true });
  const files = await folder(t, {
    'ca.pem': authority.cert,
    'me.crt': one.cert,
    'me.key': one.key,
  });
  const tls = { ca: files.at('ca.pem'), cert: files.at('me.crt'), key: files.at('me.key') };
  const config: RoutingInput = {
    transport: world.transports.client,
    backends: { files: { target: `https://localhost:${backend.port}`, tls } },
    routes: to('files'),
  };
  return { authority, stranger, one, two, backend, files, config };
}

behaviour(
  'certificates are read by update(), and used by the next handshake of the same connections',
  async (t, world) => {
    const { two, backend, files, config, stranger } = await secure(t, world);
    const { client, director } = await routed(t, world, config);
    const conn = director.backends.get('files')!;
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    await files.write('me.crt', two.cert);
    t.throws(() => director.update(config), {
      message: `backends.files.tls.key: "${files.at('me.key')}" does not belong to the certificate`,
    });
    await files.write('me.key', two.key);
    director.update(config);
    t.equal(director.backends.get('files'), conn);
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.strictSame(backend.clients, ['one'], 'connections go on');
    backend.closeConnections();
    await eventually('it is closed', () => conn.state.name !== 'READY');
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.strictSame(backend.clients, ['one', 'two']);
    const before = director.backends.get('files');
    director.update({ ...config, backends: { files: { target: `https://localhost:${backend.port}` } } });
    t.not(director.backends.get('files'), before, 'what is left out must not stay in use');
    t.equal(status(await client.call(METHOD, MESSAGE)), '14', 'the system knows no such authority');
    await files.write('ca.pem', stranger.cert);
    director.update(config);
    t.equal(status(await client.call(METHOD, MESSAGE)), '14');
  },
);

behaviour('what files hold later on can be used for one backend', async (t, world) => {
  const { two, backend, config } = await secure(t, world);
  const { client, director } = await routed(t, world, config);
  await client.call(METHOD, MESSAGE);
  director.renewTls('files', { cert: Buffer.from(two.cert), key: Buffer.from(two.key) });
  director.renewTls('none', {});
  t.throws(() => director.renewTls('files', { cert: Buffer.from(two.cert), key: Buffer.from('') }));
  backend.closeConnections();
  await eventually('it is closed', () => director.backends.get('files')!.state.name !== 'READY');
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  t.strictSame(backend.clients, ['one', 'two']);
});

t.test('a serverName, and TLS for a target that is not https://', async (t) => {
  const authority = new Authority();
  const server = authority.issue({ name: 'backend', altNames: ['DNS:files.internal'] });
  const backend = await SecureBackend.start(t, server);
  const { at } = await folder(t, { 'ca.pem': authority.cert });
  const configOf = (serverName?: string): RoutingInput => ({
    backends: { files: { target: `127.0.0.1:${backend.port}`, tls: { ca: at('ca.pem'), serverName } } },
    routes: to('files'),
  });
  const statusBy = async (config: RoutingInput): Promise<number> => {
    await using director = routeDirector(config);
    const call = director.backends.get('files')!.call(METHOD);
    call.end();
    return (await call.status).code;
  };
  t.equal(await statusBy(configOf('files.internal')), 0);
  t.equal(await statusBy(configOf()), 14);
});

t.test('an idle director keeps no process alive, also after an update', async (t) => {
  const director = routeDirector({ backends: { files: { target: 'a:1' } }, routes: to('files') });
  director.update({ backends: { files: { target: 'b:1' } }, routes: to('files') });
  await director.close();
  t.equal(director.backends.get('files')!.state.name, 'SHUTDOWN');
});

behaviour('what flags say is a config, too', async (t, world) => {
  const { config, requests } = await backends(world, 'primary', 'secondary-1', 'shadow-1', 'shadow-2');
  const { client, director, outcomes } = await routed(t, world, {
    backends: config,
    routes: [
      {
        match: {},
        primary: 'primary',
        secondaries: ['secondary-1'],
        shadows: ['shadow-1', { backend: 'shadow-2', percent: 0 }],
      },
    ],
  });
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  await eventually('the shadow is asked', () => requests['shadow-1'].length === 1);
  t.equal(requests['secondary-1'].length, 1);
  t.strictSame([...director.backends.keys()], ['primary', 'secondary-1', 'shadow-1', 'shadow-2']);
  await eventually('it has ended', () => outcomes.length === 1);
  t.equal(outcomes[0]!.route, '1');
});
