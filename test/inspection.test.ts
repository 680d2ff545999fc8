import { inspect } from 'node:util';
import { Metadata as GrpcMetadata } from '@grpc/grpc-js';
import t from 'tap';
import { Code, dial, Metadata, Server, StatusError } from '../lib/index.js';
import { behaviour } from './support/behaviour.js';
import { echo } from './support/grpc-backend.js';
import { throwing, untyped, withTrap } from './support/hostile-values.js';
import { ECHO } from './support/proxied-calls.js';

// What logs show of the objects of this package.

const SECRET = 'geheim';

/** Secret by its name, by its sender's wish, and open. */
function fields(): Metadata {
  return new Metadata({ tenant: ['a', 'b'], authorization: `Bearer ${SECRET}`, 'x-bin': Buffer.of(1) })
    .append('x-api-key', SECRET)
    .append('set-cookie', SECRET)
    .append('__proto__', 'odd')
    .append('card', SECRET, { neverIndexed: true });
}

const SHOWN = {
  tenant: ['a', 'b'],
  authorization: ['[hidden]'],
  'x-bin': ['AQ'],
  'x-api-key': ['[hidden]'],
  'set-cookie': ['[hidden]'],
  ['__proto__']: ['odd'],
  card: ['[hidden]'],
};

t.test('metadata is shown as an object of lists, without secrets', async (t) => {
  t.equal(JSON.stringify(fields()), JSON.stringify(SHOWN));
  t.equal(inspect(fields()), inspect(SHOWN).replace('{', 'Metadata {'));
  t.equal(inspect({ a: { b: { metadata: new Metadata() } } }), '{ a: { b: { metadata: Metadata {} } } }');
  t.equal(inspect({ a: { b: { c: fields() } } }), '{ a: { b: { c: [Metadata] } } }');
});

t.test('a StatusError is shown with its class, code, stack, trailers and cause', async (t) => {
  const error = new StatusError(Code.NOT_FOUND, 'no such thing', fields());
  error.cause = new TypeError('inner');
  const text = inspect(error);
  t.match(text, /^StatusError: no such thing\n +at .*inspection\.test/);
  t.match(text, /code: 'NOT_FOUND'/);
  t.match(text, /tenant: \[ 'a', 'b' \]/);
  t.match(text, /cause.*: TypeError: inner\n/);
  t.notMatch(text, SECRET);
  t.equal(
    JSON.stringify(error),
    JSON.stringify({ name: 'StatusError', code: 'NOT_FOUND', message: 'no such thing', trailers: SHOWN }),
  );
  t.equal(
    JSON.stringify(new StatusError(Code.ABORTED, '')),
    '{"name":"StatusError","code":"ABORTED","message":""}',
  );
  const answered = StatusError.fromTrailers(['grpc-status', '7', 'grpc-message', 'no', 'token', SECRET]);
  t.equal(
    inspect(answered),
    `[StatusError: no] {\n  code: 'PERMISSION_DENIED',\n  trailers: { token: [ '[hidden]' ] }\n}`,
  );
  class Mine extends StatusError {
    readonly tenant = 'a';
  }
  t.match(inspect(Object.freeze(new Mine(Code.ABORTED, 'x'))), /code: 'ABORTED',\n +tenant: 'a'/);
});

t.test('to look at an error changes nothing in it', async (t) => {
  const answered = StatusError.fromTrailers(['grpc-status', '7', 'a', '1'])!;
  inspect(answered);
  JSON.stringify(answered);
  answered.trailers.set('a', '2');
  t.strictSame(answered.toTrailers(), ['grpc-status', '7', 'a', '1']);
  t.equal(answered.trailers.get('a'), '2');
  t.equal(answered.code, Code.PERMISSION_DENIED);
});

t.test('whatever an application makes of them can be shown', async (t) => {
  const error = () => new StatusError(Code.ABORTED, 'x', { a: 'b' });
  const circular = error();
  circular.cause = new StatusError(Code.ABORTED, 'y');
  untyped<Error>(circular.cause).cause = circular;
  const errors: object[] = [
    circular,
    Object.freeze(error()),
    withTrap(error(), 'message'),
    withTrap(error(), 'stack', 'code', 'name', 'cause', 'more', 'toString'),
    Object.assign(error(), { code: 99, message: { a: 1 }, stack: undefined, toJSON: undefined }),
    Object.defineProperty(error(), 'name', { value: Symbol('n') }),
    Object.defineProperty(error(), 'trailers', { get: throwing(new Error('a trap')) }),
  ];
  for (const one of errors) {
    t.match(inspect(one), /StatusError|ABORTED/);
    t.type(JSON.stringify(one), 'string');
  }
  const conn = dial('127.0.0.1:1');
  for (const [one, name] of [
    [error(), 'StatusError'],
    [fields(), 'Metadata'],
    [new Server(), 'Server'],
    [conn, 'ClientConn'],
  ] as const) {
    for (const odd of [new Proxy(one, {}), Object.create(one)]) {
      t.match(inspect(odd), name);
    }
  }
  conn.destroy();
});

behaviour('a server, a connection and a call are shown as they stand', async (t, world) => {
  const backend = await world.grpcBackend({ [ECHO]: echo });
  const conn = world.dial(backend.port);
  const options = { breakLength: Infinity };
  const target = `127.0.0.1:${backend.port}`;
  t.equal(inspect(conn, options), `ClientConn { target: '${target}', state: 'IDLE', calls: 0 }`);
  const seen: unknown[] = [];
  const { server, port } = await world.proxy((ctx) => {
    seen.push(inspect(ctx, options), JSON.parse(JSON.stringify(ctx)), inspect(server, options), ctx.peer);
    t.notOk(ctx.hasOwnMetadata, 'nothing is made of it');
    return { primary: { conn } };
  });
  const metadata = new GrpcMetadata();
  metadata.set('tenant', 'a');
  metadata.set('authorization', SECRET);
  const { code } = await world
    .grpcClient(port)
    .call(ECHO, ['hi'], metadata, { deadline: Date.now() + 60_000 });
  t.equal(code, Code.OK);
  const [text, json, running, peer] = seen;
  t.match(
    text,
    `CallContext { method: '${ECHO}', authority: '127.0.0.1:${port}', peer: '${peer}', deadline: `,
  );
  t.notMatch(text, SECRET);
  t.match(json, {
    method: ECHO,
    authority: `127.0.0.1:${port}`,
    peer: String,
    deadline: Number,
    metadata: { tenant: ['a'], authorization: ['[hidden]'] },
  });
  const addresses = `addresses: [ '127.0.0.1:${port}' ]`;
  t.equal(running, `Server { ${addresses}, calls: 1, isClosing: false }`);
  t.match(inspect(conn, options), `ClientConn { target: '${target}', state: 'READY', calls: `);
  await conn.close();
  t.strictSame(JSON.parse(JSON.stringify(conn)), { target, state: 'SHUTDOWN', calls: 0 });
  const closed = server.close();
  t.equal(inspect(server, options), `Server { ${addresses}, calls: 0, isClosing: true }`);
  await closed;
});

behaviour('a connection that cannot be made is shown with the reason', async (t, world) => {
  const conn = world.dial('unix:/nowhere');
  conn.connect();
  while (conn.state.name !== 'TRANSIENT_FAILURE') await conn.waitForStateChange(conn.state.name);
  const error = 'cannot connect to unix:/nowhere: there is no such socket';
  t.strictSame(JSON.parse(JSON.stringify(conn)), {
    ...{ target: 'unix:/nowhere', state: 'TRANSIENT_FAILURE', calls: 0, error },
  });
});
