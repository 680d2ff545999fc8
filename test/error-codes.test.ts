import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { healthService } from '../lib/admin/health-service.js';
import {
  dial,
  encodeMessage,
  InvalidPeekCountError,
  Metadata,
  newCodec,
  type ProxyErrorCode,
  registerService,
  Server,
  StatusError,
  transparentHandler,
} from '../lib/index.js';
import { routeDirector } from '../lib/routes/index.js';
import { cert } from './support/certificate.js';
import { untyped } from './support/hostile-values.js';

/** What makes errors of its own without the codes' file, and why it may. */
const WITHOUT_CODE: Readonly<Record<string, string>> = {
  'client/channel/resolver.ts': "has node:dns's code",
  'grpc/status.ts': 'how Node is to show an error',
  'call/hooks.ts': 'a process warning of what somebody else has thrown',
  'transport/http2/stream.ts': 'the same',
  'transport/server-tls.ts': 'what an application has thrown goes to Node by it',
  'transport/unix-socket.ts': "has the system's code",
  'observe/access-log/sink.ts': 'lines are counted as dropped for it',
  'port/errors.ts': 'makes those with a code',
};

const director = (): never => {
  throw new Error('no director is asked');
};

const TRIES: readonly (readonly [
  what: string,
  attempt: () => unknown,
  code: ProxyErrorCode,
  name: string,
])[] = [
  ['a target that is none', () => dial('nowhere'), 'ERR_INVALID_ARG_VALUE', 'TypeError'],
  ['no target', () => dial(untyped(undefined)), 'ERR_INVALID_ARG_TYPE', 'TypeError'],
  [
    'a limit below all',
    () => dial('a:1', { limits: { maxConnections: 0 } }),
    'ERR_OUT_OF_RANGE',
    'RangeError',
  ],
  ['an unknown option', () => new Server(untyped({ tsl: {} })), 'ERR_UNKNOWN_OPTION', 'TypeError'],
  ['a certificate without key', () => new Server({ tls: { cert } }), 'ERR_TLS_OPTIONS', 'SecureContextError'],
  ['a certificate for a server without TLS', () => new Server().setSecureContext({}), 'ERR_NO_TLS', 'Error'],
  ['a certificate without TLS', () => dial('a:1').setSecureContext({}), 'ERR_NO_TLS', 'Error'],
  [
    'a service twice',
    () => {
      const server = new Server();
      healthService(server);
      healthService(server);
    },
    'ERR_SERVICE_REGISTERED',
    'Error',
  ],
  [
    'a service without methods',
    () => registerService(new Server(), director, 'a.B'),
    'ERR_INVALID_ARG_VALUE',
    'TypeError',
  ],
  ['no director', () => transparentHandler(untyped({})), 'ERR_INVALID_ARG_TYPE', 'TypeError'],
  [
    'a server of another transport than that which it is attached to',
    () => new Server({ transport: 'frames' }).attach(untyped({ emit: director })),
    'ERR_WRONG_TRANSPORT',
    'Error',
  ],
  ['no server to attach to', () => new Server().attach(untyped(8080)), 'ERR_INVALID_ARG_TYPE', 'TypeError'],
  ['a code that is none', () => new StatusError(untyped(99), ''), 'ERR_OUT_OF_RANGE', 'RangeError'],
  ['a name of metadata', () => new Metadata({ 'a b': '' }), 'ERR_INVALID_ARG_VALUE', 'TypeError'],
  ['a value of metadata', () => new Metadata({ a: untyped(1) }), 'ERR_INVALID_ARG_TYPE', 'TypeError'],
  ['a message that is none', () => encodeMessage(untyped('text')), 'ERR_INVALID_ARG_TYPE', 'TypeError'],
  ['a value without a type', () => newCodec().marshal({}), 'ERR_INVALID_ARG_TYPE', 'TypeError'],
  ['a method that is none', () => dial('a:1').call('x'), 'ERR_INVALID_ARG_VALUE', 'TypeError'],
  [
    'a config with mistakes',
    () => routeDirector(untyped({ routes: 5 })),
    'ERR_INVALID_CONFIG',
    'ConfigError',
  ],
];

for (const [what, attempt, code, name] of TRIES) {
  t.test(`${what} is told by ${code}`, async (t) => {
    t.throws(attempt, { code, name });
  });
}

t.test('a peek of no messages is out of range, too', async (t) => {
  t.equal(new InvalidPeekCountError().code, 'ERR_OUT_OF_RANGE');
});

t.test('what has been closed is told so', async (t) => {
  const server = new Server();
  await server.close();
  await t.rejects(server.listen('127.0.0.1:0'), { code: 'ERR_CLOSED', name: 'Error' });
  const config = { backends: { a: { target: 'a:1' } }, routes: [{ match: {}, primary: 'a' }] };
  const routes = routeDirector(config);
  await routes.close();
  t.throws(() => routes.update(config), { code: 'ERR_CLOSED', name: 'Error' });
});

t.test('no error of the library is made without a code', async (t) => {
  const root = path.resolve('lib');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/^(?:cli|routes)\//.test(file))
    .sort();
  t.ok(files.length > 200, 'all of it is looked at');
  const without = files.filter((file) => {
    // A mistake of a config is told with the others, by a ConfigError.
    const text = readFileSync(path.join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    return /\bnew (?:Type|Range|Syntax|Eval|URI|Aggregate)?Error\(/.test(text) && !(file in WITHOUT_CODE);
  });
  t.strictSame(without, []);
});
