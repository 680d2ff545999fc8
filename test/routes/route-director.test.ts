import type { OutgoingHttpHeaders } from 'node:http2';
import t from 'tap';
import { parseTimeout } from '../../lib/grpc/timeout.js';
import { Code } from '../../lib/index.js';
import { ConfigError, type RoutingInput, routeDirector } from '../../lib/routes/index.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { Setting, settings } from '../support/frame.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { backends, type RouteInput, routed } from './routed.js';

const silent: OnRequest = () => {};
const failing: OnRequest = ({ stream }) =>
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', server: 'x', 'x-own': 'y' },
    { endStream: true },
  );

/** Routes that say by a status which of them a call has taken. */
function telling(matches: readonly RouteInput['match'][]): RouteInput[] {
  return matches.map((match, index) => ({ match, reject: { code: 'ABORTED', message: `route ${index}` } }));
}

behaviour('the first route that matches takes a call', async (t, world) => {
  const { client } = await routed(t, world, {
    routes: telling([
      { service: 'a.B', method: 'Write' },
      { service: 'a.B', method: ['Read', 'Get*'] },
      { service: 'a.B' },
      { service: 'a.*', method: 'List' },
      { service: 'constructor', method: '__proto__' },
      { authority: 'Files.example.com' },
      { authority: 'files.example.com:8080' },
      { authority: 'other.example.com:8080' },
      { authority: '[::1]' },
      { metadata: { 'X-Tenant': 'acme' } },
      { metadata: { 'x-tenant': 'beta-*', 'x-zone': 'a' } },
      { metadata: { 'x-key-bin': 'AAEC' } },
      { metadata: { 'x-empty': '' } },
      { service: 'a.C', metadata: { 'x-any': '*' } },
    ]),
  });
  const takes = async (path: string, fields: OutgoingHttpHeaders = {}): Promise<string | undefined> => {
    const response = await client.call(path, MESSAGE, { ':authority': 'client.test', ...fields });
    return `${status(response)} ${decodeURIComponent(message(response)!)}`;
  };
  const cases: [path: string, fields: OutgoingHttpHeaders, taken: number | string][] = [
    ['/a.B/Write', {}, 0],
    ['/a.B/Read', {}, 1],
    ['/a.B/Get', {}, 1],
    ['/a.B/GetAll', {}, 1],
    ['/a.B/WriteAll', {}, 2],
    ['/a.B/write', {}, 2],
    ['/a.C/List', {}, 3],
    ['/a./List', {}, 3],
    ['/a.BC/Write', {}, 'a.BC'],
    ['/a/List', {}, 'a'],
    ['/constructor/__proto__', {}, 4],
    ['/__proto__/constructor', {}, '__proto__'],
    ['/x.Y/Z', {}, 'x.Y'],
    ['/x/y.Y/Z', {}, 'x/y.Y'],
    ['/x.Y/Z', { ':authority': 'FILES.example.com' }, 5],
    ['/x.Y/Z', { ':authority': 'files.example.com:8080' }, 5],
    ['/x.Y/Z', { ':authority': 'other.example.com:8080' }, 7],
    ['/x.Y/Z', { ':authority': 'other.example.com' }, 'x.Y'],
    ['/x.Y/Z', { ':authority': 'other.example.com:80' }, 'x.Y'],
    ['/x.Y/Z', { ':authority': 'xfiles.example.com' }, 'x.Y'],
    ['/x.Y/Z', { ':authority': '[::1]:5' }, 8],
    ['/x.Y/Z', { ':authority': '[::2]' }, 'x.Y'],
    ['/x.Y/Z', { 'x-tenant': 'acme' }, 9],
    ['/x.Y/Z', { 'x-tenant': 'Acme' }, 'x.Y'],
    ['/x.Y/Z', { 'x-tenant': ['none', 'acme'] }, 9],
    ['/x.Y/Z', { 'x-tenant': 'beta-1' }, 'x.Y'],
    ['/x.Y/Z', { 'x-tenant': 'beta-1', 'x-zone': 'a' }, 10],
    ['/x.Y/Z', { 'x-tenant': 'beta', 'x-zone': 'a' }, 'x.Y'],
    ['/x.Y/Z', { 'x-key-bin': 'AAEC' }, 11],
    ['/x.Y/Z', { 'x-key-bin': 'AA,AAEC' }, 11],
    ['/x.Y/Z', { 'x-key-bin': 'AAED' }, 'x.Y'],
    ['/x.Y/Z', { 'x-key-bin': '%' }, 'x.Y'],
    ['/x.Y/Z', { 'x-empty': '' }, 12],
    ['/a.C/Z', { 'x-any': 'thing' }, 13],
    ['/a.C/Z', {}, 'a.C'],
  ];
  // Twice: what is remembered of a method is the same.
  for (const [path, fields, taken] of [...cases, ...cases]) {
    const expected = typeof taken === 'string' ? `12 unknown service ${taken}` : `10 route ${taken}`;
    t.equal(await takes(path, fields), expected, `${path} ${JSON.stringify(fields)}`);
  }
});

behaviour('clients that make up methods do not change where calls go', async (t, world) => {
  const { client } = await routed(t, world, { routes: telling([{ service: 'a.*' }, { method: 'M*' }]) });
  const [long, other] = [`/a.${'x'.repeat(1000)}/M`, `/b.${'x'.repeat(1000)}/M`];
  const paths = Array.from({ length: 1200 }, (_, index) => `/a.S${index}/M`);
  for (let i = 0; i < paths.length; i += 100) {
    const responses = await Promise.all(paths.slice(i, i + 100).map((path) => client.call(path, MESSAGE)));
    if (responses.some((each) => message(each) !== 'route 0')) t.fail('another route');
  }
  t.equal(message(await client.call(paths[0]!, MESSAGE)), 'route 0');
  t.equal(message(await client.call(long, MESSAGE)), 'route 0');
  t.equal(message(await client.call(other, MESSAGE)), 'route 1');
});

behaviour('a call that is refused, or that no route takes, has an outcome that says so', async (t, world) => {
  const { client, outcomes } = await routed(t, world, {
    routes: [
      { match: { service: 'a.A' }, reject: { code: 'PERMISSION_DENIED', message: 'not from outside' } },
      { name: 'gone', match: { service: 'a.B' }, reject: { code: 'UNIMPLEMENTED' } },
    ],
  });
  for (const service of ['a.A', 'a.B', 'a.C']) await client.call(`/${service}/M`, MESSAGE);
  await eventually('all have ended', () => outcomes.length === 3);
  t.strictSame(
    outcomes.map(({ route, failure }) => [
      route,
      failure?.reason,
      failure?.error.code,
      failure?.error.message,
    ]),
    [
      ['1', 'rejected', Code.PERMISSION_DENIED, 'not from outside'],
      ['gone', 'rejected', Code.UNIMPLEMENTED, ''],
      [undefined, 'no_route', Code.UNIMPLEMENTED, 'unknown service a.C'],
    ],
  );
  const errors = outcomes.map(({ failure }) => failure!.error);
  t.notOk(
    errors.some(({ stack }) => stack?.includes('\n    at ')),
    'no stack is taken',
  );
  await client.call('/a.A/M', MESSAGE);
  await eventually('another has ended', () => outcomes.length === 4);
  t.not(outcomes[3]!.failure!.error, errors[0], 'each call has an error of its own');
});

behaviour('routes are called by their names, or by their position', async (t, world) => {
  const { config } = await backends(world, 'files');
  const { client, director, outcomes } = await routed(t, world, {
    backends: config,
    routes: [
      { match: { service: 'a.A' }, primary: 'files' },
      { name: 'writes', match: { service: 'a.B', method: ['M', 'N', 'O*'] }, primary: 'files' },
      { match: { service: 'a.*', method: 'M' }, primary: 'files' },
    ],
  });
  for (const service of ['a.A', 'a.B', 'a.C']) await client.call(`/${service}/M`, MESSAGE);
  await eventually('all have ended', () => outcomes.length === 3);
  t.strictSame(
    outcomes.map(({ route }) => route),
    ['1', 'writes', '3'],
  );
  t.strictSame(director.routes, ['1', 'writes', '3']);
  t.strictSame(director.methods, ['a.B/M', 'a.B/N'], 'exact ones only');
  t.strictSame([...director.backends.keys()], ['files']);
});

behaviour('a weighted choice is drawn for each call', async (t, world) => {
  const { config, requests } = await backends(world, 'files', 'next');
  const draws = [0, 0.4, 0.9499, 0.95, 0.9999];
  const { client } = await routed(
    t,
    world,
    {
      backends: config,
      routes: [
        {
          match: {},
          primary: [
            { backend: 'files', weight: 95 },
            { backend: 'next', weight: 5 },
          ],
        },
      ],
    },
    { random: () => draws.shift()! },
  );
  for (let i = 0; i < 5; i++) t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  t.equal(requests.files.length, 3);
  t.equal(requests.next.length, 2);
});

behaviour('a secondary fails the call, unless its failures are ignored', async (t, world) => {
  const { config } = await backends(world, 'files', ['broken', failing]);
  const to = (service: string, secondary: NonNullable<RouteInput['secondaries']>[number]): RouteInput => ({
    match: { service },
    primary: 'files',
    secondaries: [secondary],
  });
  const { client } = await routed(t, world, {
    backends: config,
    routes: [
      to('a.A', 'broken'),
      to('a.B', { backend: 'broken', onError: 'fail' }),
      to('a.C', { backend: 'broken', onError: 'ignore' }),
    ],
  });
  t.equal(status(await client.call('/a.A/M', MESSAGE)), '13');
  t.equal(status(await client.call('/a.B/M', MESSAGE)), '13');
  t.equal(status(await client.call('/a.C/M', MESSAGE)), '0');
});

behaviour('shadows get their part of the calls', async (t, world) => {
  const { config, requests } = await backends(world, 'files', 'all', 'none', ['broken', failing]);
  const { client, outcomes } = await routed(t, world, {
    backends: config,
    routes: [
      {
        match: {},
        primary: 'files',
        shadows: ['all', { backend: 'none', percent: 0 }, { backend: 'broken' }],
      },
    ],
  });
  for (let i = 0; i < 20; i++) t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  await eventually(
    'all shadows are asked',
    () => requests.all.length === 20 && requests.broken.length === 20,
  );
  t.equal(requests.none.length, 0);
  t.equal(outcomes[0]!.shadows.length, 2);
});

behaviour('maxLag bounds what is held for a shadow', async (t, world) => {
  const { config } = await backends(world, 'files');
  const stuck = await world.frameBackend((connection) =>
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 0])),
  );
  const { client, outcomes } = await routed(t, world, {
    backends: { ...config, stuck: { target: `127.0.0.1:${stuck.port}` } },
    routes: [{ match: {}, primary: 'files', shadows: [{ backend: 'stuck', maxLag: '1KiB' }] }],
  });
  const large = Buffer.concat([Buffer.from([0, 0, 4, 0, 0]), Buffer.alloc(0x40000)]);
  t.equal(status(await client.call(METHOD, large)), '0');
  await eventually('it has ended', () => outcomes.length === 1);
  t.equal(outcomes[0]!.shadows[0]!.result, 'lagged');
});

behaviour(
  'timeout: the shorter of it and what the client asks for, for every destination',
  async (t, world) => {
    const { config, requests } = await backends(world, 'files', 'replica', 'next', ['hanging', silent]);
    const { client, outcomes } = await routed(t, world, {
      backends: config,
      routes: [
        { match: { service: 'a.A' }, primary: 'hanging', secondaries: ['replica'], timeout: '50ms' },
        { match: {}, primary: 'files', secondaries: ['replica'], shadows: ['next'], timeout: '5s' },
      ],
    });
    await client.call(METHOD, MESSAGE);
    await client.call(METHOD, MESSAGE, { 'grpc-timeout': '1S' });
    await client.call(METHOD, MESSAGE, { 'grpc-timeout': '1H' });
    for (const name of ['files', 'replica', 'next'] as const) {
      await eventually('all are asked', () => requests[name].length === 3);
      const left = requests[name].map(({ headers }) => parseTimeout(headers['grpc-timeout'] as string)!);
      t.ok(left[0]! > 4000 && left[0]! <= 5000, `${name}: ${left}`);
      t.ok(left[1]! > 500 && left[1]! <= 1000, `${name}: ${left}`);
      t.ok(left[2]! > 4000 && left[2]! <= 5000, `${name}: ${left}`);
    }
    outcomes.length = 0;
    t.equal(status(await client.call('/a.A/M', MESSAGE)), '4');
    await eventually('it has ended', () => outcomes.length === 1);
    t.equal(outcomes[0]!.failure?.reason, 'deadline');
  },
);

behaviour('waitForReady lets calls wait for a backend', async (t, world) => {
  const { config, servers } = await backends(world, 'files');
  servers.files.destroy();
  const { client } = await routed(t, world, {
    backends: config,
    routes: [
      { match: { service: 'a.A' }, primary: 'files' },
      { match: {}, primary: 'files', waitForReady: true },
    ],
  });
  t.equal(status(await client.call('/a.A/M', MESSAGE)), '14');
  t.equal(status(await client.call('/a.B/M', MESSAGE, { 'grpc-timeout': '100m' })), '4');
});

behaviour("requestMetadata holds for all destinations, and a shadow's own comes after", async (t, world) => {
  const { config, requests } = await backends(world, 'files', 'replica', 'next', 'plain');
  const { client } = await routed(t, world, {
    backends: config,
    routes: [
      {
        match: { service: 'a.A' },
        primary: 'files',
        shadows: [{ backend: 'next', metadata: { set: { 'x-shadow': '1' } } }],
      },
      {
        match: {},
        primary: 'files',
        secondaries: ['replica'],
        shadows: [
          {
            backend: 'next',
            metadata: { set: { 'x-shadow': '1', 'x-proxy': 'shadow' }, remove: ['Authorization'] },
          },
          'plain',
        ],
        requestMetadata: { set: { 'x-proxy': 'edge', 'X-Key-Bin': 'AAEC' }, remove: ['x-debug'] },
      },
    ],
  });
  const fields = {
    'x-proxy': ['one', 'two'],
    'x-debug': '1',
    authorization: 'Bearer',
    'x-kept': 'yes',
    'x-key-bin': 'AA',
  };
  await client.call(METHOD, MESSAGE, fields);
  for (const name of ['files', 'replica', 'next', 'plain'] as const) {
    await eventually('all are asked', () => requests[name].length === 1);
    const { headers } = requests[name].shift()!;
    const isNext = name === 'next';
    t.strictSame(
      ['x-proxy', 'x-debug', 'authorization', 'x-kept', 'x-key-bin', 'x-shadow'].map((key) => headers[key]),
      isNext
        ? ['shadow', undefined, undefined, 'yes', 'AAEC', '1']
        : ['edge', undefined, 'Bearer', 'yes', 'AAEC', undefined],
      name,
    );
  }
  await client.call('/a.A/M', MESSAGE, fields);
  await eventually('both are asked', () => requests.next.length === 1 && requests.files.length === 1);
  t.match(requests.files[0]!.headers, { 'x-proxy': 'one, two', 'x-shadow': undefined });
  t.match(requests.next[0]!.headers, { 'x-proxy': 'one, two', 'x-shadow': '1', authorization: 'Bearer' });
});

behaviour(
  'responseMetadata changes headers, also those of Trailers-Only, but no trailers',
  async (t, world) => {
    const answer: OnRequest = ({ stream }) =>
      respond(
        stream,
        MESSAGE,
        { 'grpc-status': '0', server: 'trailer', 'x-served-by': 'trailer' },
        { server: 'header', 'x-served-by': 'header', 'x-own': 'y' },
      );
    const { config } = await backends(world, ['files', answer], ['broken', failing]);
    const responseMetadata = { set: { 'x-served-by': 'edge' }, remove: ['server'] };
    const { client } = await routed(t, world, {
      backends: config,
      routes: [
        { match: { service: 'a.A' }, primary: 'broken', responseMetadata },
        { match: {}, primary: 'files', responseMetadata },
      ],
    });
    const { headers, trailers } = await client.call(METHOD, MESSAGE);
    const names = ['server', 'x-served-by', 'x-own'];
    t.strictSame(
      names.map((name) => fieldValue(headers, name)),
      [undefined, 'edge', 'y'],
    );
    t.strictSame(
      names.map((name) => fieldValue(trailers, name)),
      ['trailer', 'trailer', undefined],
    );
    const refused = await client.call('/a.A/M', MESSAGE);
    t.ok(refused.trailersOnly);
    t.equal(status(refused), '5');
    t.strictSame(
      names.map((name) => fieldValue(refused.headers, name)),
      [undefined, 'edge', 'y'],
    );
  },
);

behaviour('compare: true on one shadow compares that one alone', async (t, world) => {
  const other: OnRequest = ({ stream }) => respond(stream, Buffer.concat([MESSAGE, MESSAGE]));
  const { config, requests } = await backends(
    world,
    'files',
    ['replica', other],
    ['next', other],
    ['plain', other],
  );
  const compared: string[] = [];
  const all: string[] = [];
  const route: RouteInput = {
    match: {},
    primary: 'files',
    secondaries: ['replica'],
    shadows: ['plain', { backend: 'next', compare: true, metadata: { set: { a: 'b' } } }],
  };
  const { client } = await routed(
    t,
    world,
    { backends: config, routes: [route] },
    { onVerdict: ({ target, result }) => compared.push(`${target} ${result}`) },
  );
  await client.call(METHOD, MESSAGE);
  await client.call(METHOD, MESSAGE);
  await eventually('shadows have been asked', () => requests.plain.length === 2);
  await eventually('two are compared', () => compared.length === 2);
  t.strictSame(compared, Array(2).fill(`${config.next.target} different`));
  const second = await routed(
    t,
    world,
    { backends: config, routes: [route] },
    { onVerdict: ({ target }) => all.push(target), comparesAll: true },
  );
  await second.client.call(METHOD, MESSAGE);
  await eventually('three are compared', () => all.length === 3);
  t.strictSame(all.sort(), [config.next.target, config.plain.target, config.replica.target].sort());
  const third = await routed(t, world, { backends: config, routes: [route] });
  t.equal(status(await third.client.call(METHOD, MESSAGE)), '0', 'with nobody to be told');
});

behaviour('each backend has its own authority, also in one call', async (t, world) => {
  const { config, requests } = await backends(world, 'files', 'fixed', 'own');
  const { client } = await routed(t, world, {
    backends: {
      files: { ...config.files, authority: 'preserve' },
      fixed: { ...config.fixed, authority: 'fixed.example:8' },
      own: config.own,
    },
    routes: [{ match: {}, primary: 'files', secondaries: ['fixed'], shadows: ['own'] }],
  });
  await client.call(METHOD, MESSAGE, { ':authority': 'client.example' });
  await eventually('all are asked', () => requests.own.length === 1);
  t.strictSame(
    [requests.files, requests.fixed, requests.own].map(([request]) => request!.headers[':authority']),
    ['client.example', 'fixed.example:8', config.own.target],
  );
});

behaviour(
  'maxConcurrentCalls, maxConnections, healthCheck and loadBalancing reach the backend',
  async (t, world) => {
    const running = deferred();
    const hanging: OnRequest = () => running.resolve();
    const { config, requests } = await backends(world, ['files', hanging], 'sick', 'one', 'two');
    const narrow = await world.http2Backend(silent, { settings: { maxConcurrentStreams: 1 } });
    const { client } = await routed(t, world, {
      backends: {
        files: { ...config.files, maxConcurrentCalls: 1 },
        sick: { ...config.sick, healthCheck: { service: 'a.Service' } },
        both: { targets: [config.one.target, config.two.target], loadBalancing: 'pick_first' },
        narrow: { target: `127.0.0.1:${narrow.port}`, maxConnections: 1 },
      },
      routes: [
        { match: { service: 'a.A' }, primary: 'files' },
        { match: { service: 'a.B' }, primary: 'sick' },
        { match: { service: 'a.C' }, primary: 'both' },
        { match: { service: 'a.D' }, primary: 'narrow' },
      ],
    });
    void client.call('/a.A/M', MESSAGE);
    await running.promise;
    t.equal(status(await client.call('/a.A/M', MESSAGE)), '8');
    void client.call('/a.B/M', MESSAGE, { 'grpc-timeout': '200m' });
    await eventually('health is asked for', () => requests.sick.length > 0);
    t.equal(requests.sick[0]!.headers[':path'], '/grpc.health.v1.Health/Watch');
    for (let i = 0; i < 4; i++) await client.call('/a.C/M', MESSAGE);
    // Whichever it has put first.
    t.strictSame([requests.one.length, requests.two.length].sort(), [0, 4]);
    const waiting = [1, 2, 3].map(() => client.call('/a.D/M', MESSAGE, { 'grpc-timeout': '100m' }));
    for (const each of waiting) t.equal(status(await each), '4');
    t.equal(narrow.sessions.length, 1);
  },
);

behaviour('keepalive asks a silent backend', async (t, world) => {
  const backend = await world.frameBackend((connection) => {
    // It is there, and answers nothing.
    connection.acknowledges = false;
    connection.send(settings());
  });
  const { client } = await routed(t, world, {
    backends: {
      files: { target: `127.0.0.1:${backend.port}`, keepalive: { time: '50ms', timeout: '100ms' } },
    },
    routes: [{ match: {}, primary: 'files' }],
  });
  const response = await client.call(METHOD, MESSAGE);
  t.equal(status(response), '14');
  t.match(decodeURIComponent(message(response)!), /PING|keepalive|answer/);
});

t.test('mistakes are told all at once, by their paths, and nothing is started', async (t) => {
  const config = { backends: { files: {} }, routes: [{ match: {}, primary: 'file', timeout: 5 }], route: [] };
  t.throws(() => routeDirector(config as unknown as RoutingInput), {
    name: 'ConfigError',
    message: [
      'backends.files: needs target, or targets',
      'routes[0].timeout: 5 is no duration: give 250ms, 5s or 2m',
      'route: is no key here (did you mean "routes"?)',
      'routes[0].primary: there is no backend "file" (did you mean "files"?)',
    ].join('\n'),
  });
  for (const none of [undefined, null, 5, 'text', [], () => {}, new Map(), Object.create(null)]) {
    t.throws(() => routeDirector(none as unknown as RoutingInput), ConfigError);
  }
  const right = { backends: { a: { target: 'a:1' } }, routes: [{ match: {}, primary: 'a' }] };
  t.throws(() => routeDirector(right, { random: 5 } as never), /options.random must be a function/);
});
