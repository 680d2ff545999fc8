import t from 'tap';
import { healthService } from '../lib/admin/health-service.js';
import { adminServer, callStatistics, processSource } from '../lib/admin/index.js';
import {
  compareResponses,
  type Destination,
  dial,
  registerService,
  registerStreamHandlers,
  Server,
  transparentHandler,
} from '../lib/index.js';
import { accessLog } from '../lib/observe/access-log/index.js';
import { metrics, WorkerMetrics } from '../lib/observe/metrics/index.js';
import { tracing } from '../lib/observe/tracing/index.js';
import { parseConfig, RouteDirector, routeDirector } from '../lib/routes/index.js';
import { mine, untyped } from './support/hostile-values.js';

const never = (): never => {
  throw new Error('nobody is asked');
};
const CONFIG = { backends: { a: { target: 'a:1' } }, routes: [{ match: {}, primary: 'a' }] };
const destination: Destination = { conn: dial('a:1') };
const parameters = { primary: destination };

type Options = Record<string, unknown>;

/** What takes options; what is wrong with each of them, and the message that says so. */
const TAKERS: Readonly<
  Record<
    string,
    readonly [take: (options: never) => unknown, ...(readonly [options: Options, message: string])[]]
  >
> = {
  Server: [
    (options) => new Server(options),
    [{ tsl: {} }, 'there is no option options.tsl (did you mean tls?)'],
    [
      { port: 1 },
      'there is no option options.port: there are unknownServiceHandler, interceptors, observer, tls, transport, maxReceiveMessageBytes, limits',
    ],
    [{ unknownServiceHandler: {} }, 'unknownServiceHandler must be a function, not object'],
    [{ interceptors: never }, 'interceptors must be an array of functions, not function'],
    [{ interceptors: [never, 5] }, 'interceptors[1] must be a function, not number'],
    [{ observer: null }, 'an observer must be an object with methods of CallObserver, not null'],
    [{ observer: never }, 'an observer must be an object with methods of CallObserver, not function'],
    [{ tls: true }, 'tls must be an object of options, not boolean'],
    [{ transport: 'http3' }, 'transport must be one of http2, frames, not "http3"'],
    [{ transport: null }, 'transport must be one of http2, frames, not null'],
    [{ maxReceiveMessageBytes: -1 }, 'maxReceiveMessageBytes must be a number of bytes from 0, not -1'],
    [
      { maxReceiveMessageBytes: Number.NaN },
      'maxReceiveMessageBytes must be a number of bytes from 0, not NaN',
    ],
    [{ maxReceiveMessageBytes: '4MiB' }, 'maxReceiveMessageBytes must be a number of bytes, not string'],
    [
      { limits: { maxConections: 1 } },
      'there is no option limits.maxConections (did you mean maxConnections?)',
    ],
    [{ limits: [] }, 'limits must be an object, not array'],
  ],
  dial: [
    (options) => dial('a:1', options),
    [{ maxConnection: 1 }, 'there is no option options.maxConnection (did you mean maxConnections?)'],
    [{ maxConnections: 0 }, 'options.maxConnections must be an integer above 0, not 0'],
    [{ outliers: 'no' }, 'outliers must be true or false, not string'],
    [{ preserveAuthority: 1 }, 'preserveAuthority must be true or false, not number'],
    [
      { loadBalancing: 'random' },
      'loadBalancing must be one of pick_first, round_robin, least_request, not "random"',
    ],
    [{ healthCheck: null }, 'healthCheck must be an object, not null'],
    [{ healthCheck: { name: 'a' } }, 'there is no option healthCheck.name: there are service'],
    [{ healthCheck: {} }, 'healthCheck.service must be a string, not undefined'],
    [
      { retryThrottling: { maxToken: 1 } },
      'there is no option retryThrottling.maxToken (did you mean maxTokens?)',
    ],
    [
      { retryThrottling: { maxTokens: -1 } },
      'retryThrottling.maxTokens must be a number above 0 and at most 1000, not -1',
    ],
    [{ authority: 'a b' }, 'authority must be HOST or HOST:PORT, not "a b"'],
    [{ authority: 5 }, 'authority must be HOST or HOST:PORT, not number'],
    [{ transport: 'frame' }, 'transport must be one of http2, frames, not "frame"'],
    [{ tls: 'yes' }, 'tls must be an object of options, not string'],
  ],
  transparentHandler: [
    (options) => transparentHandler(never, options),
    [{ maxPeakBytes: 1 }, 'there is no option options.maxPeakBytes (did you mean maxPeekBytes?)'],
    [{ maxPeekBytes: -1 }, 'options.maxPeekBytes must be an integer above 0, not -1'],
  ],
  'conn.call': [
    (options) => dial('a:1').call('/a/B', options),
    [
      { timeout: 1 },
      'there is no option options.timeout: there are metadata, deadline, timeoutMilliseconds, signal, waitForReady, authority, maxReceiveMessageBytes, retry',
    ],
    [{ timeoutMilliseconds: '1' }, 'options.timeoutMilliseconds must be a number, not string'],
    [{ deadline: 'soon' }, 'options.deadline must be a Date or milliseconds since the epoch, not "soon"'],
    [{ deadline: null }, 'options.deadline must be a Date or milliseconds since the epoch, not null'],
    [{ deadline: '' }, 'options.deadline must be a Date or milliseconds since the epoch, not ""'],
    [{ metadata: null }, 'metadata must be pairs, or an object of values by name, not null'],
    [{ metadata: 'a: b' }, 'metadata must be pairs, or an object of values by name, not string'],
    [{ signal: {} }, 'options.signal must be an AbortSignal, not object'],
    [{ waitForReady: 1 }, 'options.waitForReady must be true or false, not number'],
    [
      { maxReceiveMessageBytes: -1 },
      'options.maxReceiveMessageBytes must be a number of bytes from 0, not -1',
    ],
  ],
  compareResponses: [
    (options) => compareResponses(parameters, options),
    [{ onVerdikt: never }, 'there is no option options.onVerdikt (did you mean onVerdict?)'],
    [{}, 'options.onVerdict must be a function, not undefined'],
    [{ onVerdict: never, decode: 1 }, 'options.decode must be a function, not number'],
    [
      { onVerdict: never, baseline: destination },
      'options.baseline must be the conn of a destination, not object',
    ],
    [
      { onVerdict: never, ignore: ['..'], decode: never },
      'a path to ignore must be like created_at, items[].id or a.*.b, not ".."',
    ],
  ],
  metrics: [
    (options) => metrics(new Server(), options),
    [{ method: never }, 'there is no option options.method (did you mean methods?)'],
    [{ methods: ['a'] }, 'methods must be a function, not array'],
    [{ backends: {} }, 'backends must be a function, not object'],
    [{ transport: 1 }, 'transport must be a string, not number'],
    [{ processMetrics: 'yes' }, 'processMetrics must be true or false, not string'],
    [{ maxMethods: -1 }, 'maxMethods must be an integer from 0, not -1'],
  ],
  WorkerMetrics: [
    (options) => new WorkerMetrics(options),
    [{ maxMethod: 1 }, 'there is no option options.maxMethod (did you mean maxMethods?)'],
    [{ methods: 5 }, 'methods must be a function, not number'],
  ],
  accessLog: [
    (options) => accessLog(new Server(), options),
    [
      { path: '-' },
      'there is no option options.path: there are file, sample, runningIntervalMilliseconds, onDropped',
    ],
    [{}, 'file must be a path, or "-", not undefined'],
    [{ file: '' }, 'file must be a path, or "-", not ""'],
    [{ file: '-', onDropped: 1 }, 'onDropped must be a function, not number'],
  ],
  adminServer: [
    (options) => adminServer({ ready: never }, options),
    [{ adress: ':1' }, 'there is no option options.adress (did you mean address?)'],
    [
      { address: null },
      'what is listened at must be an address: HOST:PORT, :PORT or unix:/PATH, a port, { host, port } or { path }, not null',
    ],
    [{ hosts: 'a' }, 'hosts must be an array of names, not string'],
    [{ hosts: ['a:1'] }, 'hosts must be names without a port, as proxy.internal, not "a:1"'],
  ],
  processSource: [
    (options) => processSource(options),
    [{ server: new Server(), backend: {} }, 'there is no option options.backend (did you mean backends?)'],
    [{ server: new Server(), ready: true }, 'ready must be a function, not boolean'],
    [
      { server: new Server(), backends: 5 },
      'backends must be an object of connections by name, or a function, not number',
    ],
  ],
  healthService: [
    (options) => healthService(new Server(), options),
    [{ forwards: never }, 'there is no option options.forwards (did you mean forward?)'],
    [{ forward: {} }, 'forward must be a function, not object'],
    [{ onAnswered: 5 }, 'onAnswered must be a function, not number'],
  ],
  'RouteDirector.of': [
    (options) =>
      RouteDirector.of(parseConfig(JSON.stringify(CONFIG), { file: '' }).config!, new Map(), options),
    [{ onVerdicts: never }, 'there is no option options.onVerdicts (did you mean onVerdict?)'],
    [{ random: 5 }, 'options.random must be a function, not number'],
  ],
  routeDirector: [
    (options) => routeDirector(CONFIG, options),
    [{ onVerdicts: never }, 'there is no option options.onVerdicts (did you mean onVerdict?)'],
    [{ random: 5 }, 'options.random must be a function, not number'],
    [{ comparesAll: 5 }, 'options.comparesAll must be true or false, not number'],
  ],
};

for (const [name, [take, ...mistakes]] of Object.entries(TAKERS)) {
  t.test(`${name} says what is wrong with an option, and what it takes`, async (t) => {
    for (const [options, message] of mistakes) {
      t.throws(() => take(untyped(options)), { message, code: /^ERR_/ }, JSON.stringify(options));
    }
  });

  t.test(`${name} takes no options that are none`, async (t) => {
    for (const options of [null, 5, 'text', true, [], never]) {
      t.throws(() => take(untyped(options)), { code: 'ERR_INVALID_ARG_TYPE' }, String(options));
    }
  });
}

t.test('what is given besides options is checked, too', async (t) => {
  const server = new Server();
  const observer = 'an observer must be an object with methods of CallObserver, not undefined';
  t.throws(() => server.observe(untyped(undefined)), { message: observer });
  t.throws(() => transparentHandler(untyped(undefined)), {
    message: 'the director must be a function, not undefined',
  });
  t.throws(() => registerService(server, untyped({}), 'a.B', 'C'), {
    message: 'the director must be a function, not object',
  });
  for (const method of ['', '/a.B/C']) {
    t.throws(() => registerService(server, never, 'a.B', 'C', method), {
      message: `a method must be the name of a method, without its service, not ${JSON.stringify(method)}`,
    });
  }
  t.throws(() => registerService(server, never, 'a.B', untyped(['C', 'D'])), {
    message: 'a method must be the name of a method, without its service, not array',
  });
  for (const name of ['', '/a.B', 'a.B/']) {
    t.throws(() => server.register(name, { C: never }), {
      message: `a service must be named in full, as package.Service, not ${JSON.stringify(name)}`,
    });
  }
  t.throws(() => server.register(untyped(5), { C: never }), {
    message: /^a service must be .*, not number$/,
  });
  const noServer = { message: 'the server must be a Server, not undefined' };
  t.throws(() => registerService(untyped(undefined), never, 'a.B', 'C'), noServer);
  t.throws(() => registerStreamHandlers(untyped(undefined), 'a.B', { C: never }), noServer);
  t.throws(() => adminServer(untyped(server)), {
    message: 'the source must be an AdminSource, as processSource() gives it, not object',
  });
  t.throws(() => processSource(untyped({})), { message: 'server must be a Server, not undefined' });
  for (const take of [metrics, healthService, accessLog, tracing, callStatistics]) {
    t.throws(() => take(untyped(undefined), untyped({ file: '-' })), {
      message: 'the server must be a Server, not undefined',
    });
  }
  await t.rejects(server.close(untyped({ timeout: 5 })), { message: /^there is no option options.timeout/ });
  await t.rejects(server.close(untyped({ timeoutMilliseconds: '5' })), { code: 'ERR_INVALID_ARG_TYPE' });
  await t.rejects(server.close({ timeoutMilliseconds: -5 }), { code: 'ERR_OUT_OF_RANGE' });
  await t.rejects(dial('a:1').waitForStateChange(untyped('idle')), {
    message: /^a state must be one of IDLE, .*, not "idle"$/,
  });
  t.equal(server.closing.aborted, false, 'and nothing was begun');
});

t.test('an option that explodes when it is read throws what it throws', async (t) => {
  t.throws(() => new Server(mine()), { message: 'a mine' });
  t.throws(() => dial('a:1', mine()), { message: 'a mine' });
});

t.test('an option that is undefined is not given', async (t) => {
  t.doesNotThrow(
    () =>
      new Server({
        unknownServiceHandler: undefined,
        interceptors: undefined,
        observer: undefined,
        tls: undefined,
        transport: undefined,
        maxReceiveMessageBytes: undefined,
        limits: undefined,
      }),
  );
});
