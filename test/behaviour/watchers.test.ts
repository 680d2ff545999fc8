import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type AttemptOutcome,
  type CallObserver,
  type CallOutcome,
  type CallWatcher,
  type ClientConn,
  Code,
  encodeMessage,
  type ResponseObserver,
  type RunningCall,
  StatusError,
  type StreamParameters,
} from '../../lib/index.js';
import { Refusal } from '../../lib/proxy/refusal.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';
import { ProcessEvents } from '../support/process-events.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));
const ANSWER = encodeMessage(Buffer.from('the answer'));

const valuesOf = (fields: readonly string[] | undefined, ...names: string[]): (string | undefined)[] =>
  names.map((name) => fieldValue(fields, name));

behaviour('a watcher looks on at its call, its destinations and their attempts', async (t, world) => {
  let requests = 0;
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await body();
    if (++requests === 1)
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
        { endStream: true },
      );
    else respond(stream, ANSWER);
  });
  const shadow = await world.http2Backend(({ stream }) => respond(stream, ANSWER));
  const [conn, shadowConn] = [world.dial(backend.port), world.dial(shadow.port)];
  const told: unknown[] = [];
  const attempt = ({ number, failure, bytesSent, bytesReceived }: AttemptOutcome) => ({
    number,
    code: failure?.error.code,
    bytesSent,
    bytesReceived,
  });
  const observer: CallObserver = {
    onCallStarted: (call) => {
      told.push(['started', call.method, call.state]);
      return {
        onDestination: ({ role }) => ({
          onAttempt: (number) => told.push([role, 'attempt', number]),
          onAttemptEnd: (outcome) => told.push([role, attempt(outcome)]),
          onEnd: (failure) => told.push([role, 'end', failure]),
        }),
        onEnd: ({ route }) => told.push(['end', route]),
      };
    },
  };
  const retry = {
    maxAttempts: 2,
    codes: [Code.UNAVAILABLE],
    initialBackoff: 1,
    maxBackoff: 1,
    multiplier: 1,
  };
  const { port } = await world.proxy(
    () => ({
      primary: { conn },
      shadows: [{ conn: shadowConn }],
      callOptions: { retry },
      route: 'the way',
    }),
    { observer },
  );
  await world.http2Client(port).call(METHOD, MESSAGE);
  await eventually('all is told', () => told.length === 10);
  t.strictSame(told[0], ['started', METHOD, 'handling']);
  const ofPrimary = told.filter((entry) => Array.isArray(entry) && entry[0] === 'primary');
  t.strictSame(ofPrimary, [
    ['primary', 'attempt', 1],
    ['primary', { number: 1, code: Code.UNAVAILABLE, bytesSent: 7, bytesReceived: 0 }],
    ['primary', 'attempt', 2],
    ['primary', { number: 2, code: undefined, bytesSent: 7, bytesReceived: 10 }],
    ['primary', 'end', undefined],
  ]);
  const ofShadow = told.filter((entry) => Array.isArray(entry) && entry[0] === 'shadow');
  t.strictSame(ofShadow, [
    ['shadow', 'attempt', 1],
    ['shadow', { number: 1, code: undefined, bytesSent: 7, bytesReceived: 10 }],
    ['shadow', 'end', undefined],
  ]);
  t.strictSame(
    told.filter((entry) => Array.isArray(entry) && entry[0] === 'end'),
    [['end', 'the way']],
  );
});

behaviour(
  'an attempt without a connection, and one that is cancelled, are told with their reason',
  async (t, world) => {
    const silent = await world.http2Backend(() => {});
    const [nobody, conn] = [world.dial(1), world.dial(silent.port)];
    const ends: [string | undefined, number | undefined, number][] = [];
    const watcher: CallWatcher = {
      onDestination: () => ({
        onAttemptEnd: ({ failure, bytesSent }) =>
          ends.push([failure?.reason, failure?.error.code, bytesSent]),
      }),
    };
    const { port } = await world.proxy(
      ({ metadata }) => ({ primary: { conn: metadata.has('nobody') ? nobody : conn } }),
      {
        observer: { onCallStarted: () => watcher },
      },
    );
    await world.http2Client(port).call(METHOD, MESSAGE, { nobody: '1' });
    await world.http2Client(port).call(METHOD, MESSAGE, { 'grpc-timeout': '300m' });
    await eventually('both are told', () => ends.length === 2);
    t.strictSame(ends, [
      ['backend_connect', Code.UNAVAILABLE, 0],
      ['deadline', Code.DEADLINE_EXCEEDED, 7],
    ]);
  },
);

behaviour('no attempt is told of a destination that has ended', async (t, world) => {
  const conn = world.dial(1);
  const told: string[] = [];
  const watcher: CallWatcher = {
    onDestination: ({ role }) => ({
      onAttempt: (number) => told.push(`${role}: ${number}`),
      onAttemptEnd: ({ failure }) => told.push(`${role}: ${failure?.reason}`),
      onEnd: () => told.push(`${role}: end`),
    }),
  };
  // They wait for one connection: the primary's failure ends the secondary, which is told next that there is none.
  const { port } = await world.proxy(() => ({ primary: { conn }, secondaries: [{ conn }] }), {
    observer: { onCallStarted: () => watcher },
  });
  const { trailers, headers } = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(fieldValue(headers ?? trailers, 'grpc-status'), '14');
  const of = (role: string): string[] => told.filter((entry) => entry.startsWith(role));
  t.strictSame(of('primary'), ['primary: 1', 'primary: backend_connect', 'primary: end']);
  t.strictSame(of('secondary'), ['secondary: 1', 'secondary: backend_connect', 'secondary: end']);
});

behaviour('each destination that a watcher is told of comes to its end there', async (t, world) => {
  new ProcessEvents(t);
  const backend = await world.http2Backend(({ stream }) => respond(stream, ANSWER));
  const conn = world.dial(backend.port);
  const hostile = Object.defineProperty({}, 'onMessage', {
    get() {
      throw new Error('of the application');
    },
  }) as ResponseObserver;
  const answers: StreamParameters[] = [
    { primary: { conn, observer: hostile } },
    { primary: { conn }, secondaries: [{ conn }, { conn, observer: hostile }] },
    { primary: { conn }, secondaries: { of: [{ conn }, { conn, observer: hostile }], need: 1 } },
    { primary: { conn }, shadows: [{ conn, observer: hostile }, { conn }] },
    { primary: { conn }, callOptions: { authority: 'no authority' } },
    { primary: { conn }, callOptions: { deadline: Number.NaN } },
  ];
  let [calls, told, ended] = [0, 0, 0];
  const watcher: CallWatcher = {
    onDestination: () => {
      told++;
      return { onEnd: () => void ended++ };
    },
    onEnd: () => void calls++,
  };
  const { port } = await world.proxy(() => answers.shift()!, { observer: { onCallStarted: () => watcher } });
  const client = world.http2Client(port);
  while (answers.length > 0) await client.call(METHOD, MESSAGE);
  await eventually('all have ended', () => calls === 6 && ended === told);
  t.ok(told > 0);
});

behaviour('a watcher may end the call that it looks on at, whatever it is told then', async (t, world) => {
  let open = 0;
  const backend = await world.http2Backend(({ stream, headers }) => {
    open++;
    stream.on('close', () => open--);
    if (headers['grpc-previous-rpc-attempts'] === undefined)
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
        { endStream: true },
      );
  });
  const conn = world.dial(backend.port);
  const retry = {
    maxAttempts: 2,
    codes: [Code.UNAVAILABLE],
    initialBackoff: 1,
    maxBackoff: 1,
    multiplier: 1,
  };
  let controller = new AbortController();
  let endsAt = '';
  let told: string[] = [];
  const tell = (what: string): void => {
    told.push(what);
    if (what === endsAt) controller.abort();
  };
  const watcher: CallWatcher = {
    onDestination: () => {
      tell('destination');
      return {
        onAttempt: (number) => tell(`attempt ${number}`),
        editRequestMetadata: () => tell('metadata'),
        onAttemptEnd: ({ number }) => tell(`end of ${number}`),
        onEnd: () => tell('end'),
      };
    },
    onEnd: () => tell('end of call'),
  };
  const { port, server } = await world.proxy(() => ({ primary: { conn }, callOptions: { retry } }), {
    observer: { onCallStarted: () => watcher },
    interceptors: [
      (stream, next) => {
        stream.context = stream.context.withSignal(controller.signal);
        return next();
      },
    ],
  });
  const client = world.http2Client(port);
  await client.call(METHOD, MESSAGE, { 'grpc-timeout': '300m' });
  t.strictSame(told, [
    'destination',
    'attempt 1',
    'metadata',
    'end of 1',
    'attempt 2',
    'metadata',
    'end of 2',
    'end',
    'end of call',
  ]);
  for (endsAt of ['destination', 'attempt 1', 'metadata', 'end of 1', 'attempt 2']) {
    controller = new AbortController();
    told = [];
    const { headers, trailers } = await client.call(METHOD, MESSAGE, { 'grpc-timeout': '5S' });
    t.equal(fieldValue(trailers ?? headers, 'grpc-status'), String(Code.CANCELLED), endsAt);
    await eventually('the backend has no more of it', () => open === 0);
    const begun = told.filter((what) => what.startsWith('attempt')).length;
    t.equal(
      told.filter((what) => what.startsWith('end of ') && !what.endsWith('call')).length,
      begun,
      endsAt,
    );
    t.equal(told.filter((what) => what === 'end').length, 1, endsAt);
    t.strictSame([conn.channel.calls, conn.addresses.map(({ calls }) => calls)], [0, [0]], endsAt);
    t.equal(server.runningCalls.length, 0);
  }
});

behaviour('an attempt after the first one, too, begins when it looks for a connection', async (t, world) => {
  let requests = 0;
  const backend = await world.http2Backend(
    async ({ stream }) => {
      if (++requests > 1) return;
      await eventually('another call waits for the only stream', () => conn.channel.calls === 2);
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
        { endStream: true },
      );
    },
    { settings: { maxConcurrentStreams: 1 } },
  );
  const conn: ClientConn = world.dial(backend.port, { limits: { maxConnections: 1 } });
  const retry = {
    maxAttempts: 2,
    codes: [Code.UNAVAILABLE],
    initialBackoff: 1,
    maxBackoff: 1,
    multiplier: 1,
  };
  const told: string[] = [];
  const watcher: CallWatcher = {
    onDestination: () => ({
      onAttempt: (number) => told.push(`attempt ${number}`),
      onAttemptEnd: ({ number, failure }) => told.push(`end of ${number}: ${failure?.reason}`),
    }),
  };
  const { port } = await world.proxy(() => ({ primary: { conn }, callOptions: { retry } }), {
    observer: { onCallStarted: ({ context }) => (context.metadata.has('watched') ? watcher : undefined) },
  });
  const client = world.http2Client(port);
  const watched = client.call(METHOD, MESSAGE, { watched: '1', 'grpc-timeout': '300m' });
  await eventually('it is there', () => requests === 1);
  const other = client.open(METHOD, {}, true);
  other.write(MESSAGE);
  await watched;
  t.strictSame(told, ['attempt 1', 'end of 1: backend_status', 'attempt 2', 'end of 2: deadline']);
  other.close(8);
});

behaviour('running calls can be listed: what they are at, and what they have moved', async (t, world) => {
  const answered = deferred<void>();
  const backend = await world.http2Backend(async ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(ANSWER);
    await answered.promise;
    stream.close();
  });
  const conn = world.dial(backend.port);
  const directed = deferred<void>();
  const { port, server } = await world.proxy(
    async () => {
      await directed.promise;
      return { primary: { conn }, route: 'slow' };
    },
    { observer: {} },
  );
  const seen = (): Partial<RunningCall>[] =>
    server.runningCalls.map(({ method, state, route, messagesReceived, messagesSent, bytesSent }) => ({
      method,
      state,
      route,
      messagesReceived,
      messagesSent,
      bytesSent,
    }));
  const call = world.http2Client(port).call(METHOD, MESSAGE);
  await eventually('it runs', () => server.runningCalls.length === 1);
  const begun = { method: METHOD, state: 'directing', route: undefined, messagesReceived: 0 };
  t.strictSame(seen(), [{ ...begun, messagesSent: 0, bytesSent: 0 }]);
  directed.resolve();
  const flowing = { method: METHOD, state: 'streaming', route: 'slow', messagesReceived: 1, messagesSent: 1 };
  await eventually('it streams', () => server.runningCalls[0]?.messagesSent === 1);
  t.strictSame(seen(), [{ ...flowing, bytesSent: 10 }]);
  answered.resolve();
  await call;
  await eventually('none is left', () => server.runningCalls.length === 0);
});

behaviour('observers can be added, and each hears of the calls that begin then', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => respond(stream, ANSWER));
  const conn = world.dial(backend.port);
  const heard: string[] = [];
  const observer = (name: string): CallObserver => ({
    onCallStarted: () => ({
      onEnd: () => heard.push(`${name} watcher`),
      onDestination: () => ({ onEnd: () => heard.push(`${name} destination`) }),
    }),
    onCall: () => heard.push(name),
  });
  const { port, server } = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(port);
  await client.call(METHOD, MESSAGE);
  server.observe(observer('one'));
  server.observe(observer('two'));
  await client.call(METHOD, MESSAGE);
  await eventually('both hear', () => heard.length === 6);
  t.strictSame(heard, ['one destination', 'two destination', 'one watcher', 'two watcher', 'one', 'two']);
});

behaviour(
  'a watcher runs the handling in its own async context, and changes what backends are sent',
  async (t, world) => {
    const got: unknown[] = [];
    const backend = await world.http2Backend(({ stream, headers }) => {
      got.push([headers['x-trace'], headers['x-other']]);
      respond(stream, ANSWER);
    });
    const conn = world.dial(backend.port);
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const { port } = await world.proxy(
      () => {
        seen.push(storage.getStore());
        return { primary: { conn } };
      },
      {
        observer: {
          onCallStarted: () => ({
            run: (handle) => storage.run('of the watcher', handle),
            onDestination: () => ({
              editRequestMetadata: (metadata) => void metadata.set('x-trace', 'its own'),
            }),
          }),
        },
      },
    );
    await world
      .http2Client(port)
      .call(METHOD, MESSAGE, { 'x-trace': 'the client’s'.slice(0, 3), 'x-other': 'kept' });
    t.strictSame(seen, ['of the watcher']);
    t.strictSame(got, [['its own', 'kept']]);
  },
);

behaviour('whatever a watcher throws, and wherever, the call goes on as it would', async (t, world) => {
  const events = new ProcessEvents(t);
  const backend = await world.http2Backend(({ stream }) => respond(stream, ANSWER));
  const conn = world.dial(backend.port);
  const fail = (): never => {
    throw new Error('of the onlooker');
  };
  const hostile: CallWatcher[] = [
    { run: fail, onDestination: fail, onEnd: fail },
    {
      run: (handle) => {
        const result = handle();
        handle();
        return result;
      },
      onDestination: () => ({
        onAttempt: fail,
        onAttemptEnd: fail,
        onEnd: fail,
        editRequestMetadata: fail,
      }),
    },
    null as unknown as CallWatcher,
    { onDestination: () => null as unknown as undefined },
  ];
  const ended: CallOutcome[] = [];
  const { port, server } = await world.proxy(() => ({ primary: { conn } }), {
    observer: { onCallStarted: () => hostile.shift(), onCall: (outcome) => void ended.push(outcome) },
  });
  server.observe({ onCallStarted: fail });
  const unreadable = Object.defineProperty({}, 'editRequestMetadata', { get: fail });
  server.observe({ onCallStarted: () => ({ onDestination: () => unreadable }) });
  server.observe({ onCallStarted: () => ({ onDestination: () => ({}) }) });
  for (let i = 0; i < 4; i++) {
    const { trailers } = await world.http2Client(port).call(METHOD, MESSAGE);
    t.equal(fieldValue(trailers, 'grpc-status'), '0');
  }
  await eventually('each is told once', () => ended.length === 4);
  t.ok(events.warnings.length >= 8, 'and each mistake is a warning');
});

behaviour(
  'the metadata of response headers can be edited, also of an answer without any; not that of trailers',
  async (t, world) => {
    let isTrailersOnly = false;
    const fields = { server: 'secret', 'x-kept': 'kept' };
    const backend = await world.http2Backend(({ stream }) => {
      if (isTrailersOnly)
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', ...fields },
          { endStream: true },
        );
      else respond(stream, ANSWER, { 'grpc-status': '0', server: 'in the trailers' }, fields);
    });
    const conn = world.dial(backend.port);
    let edit = (metadata: { delete(name: string): void; set(name: string, value: string): void }): void => {
      metadata.delete('server');
      metadata.set('x-served-by', 'edge');
    };
    const { port } = await world.proxy(() => ({
      primary: { conn },
      editResponseHeaders: (metadata) => edit(metadata),
    }));
    const client = world.http2Client(port);
    const { headers, trailers } = await client.call(METHOD, MESSAGE);
    t.strictSame(valuesOf(headers, 'server', 'x-kept', 'x-served-by'), [undefined, 'kept', 'edge']);
    t.equal(fieldValue(trailers, 'server'), 'in the trailers');
    isTrailersOnly = true;
    const only = await client.call(METHOD, MESSAGE);
    t.strictSame(valuesOf(only.headers ?? only.trailers, 'grpc-status', 'server', 'x-kept', 'x-served-by'), [
      '5',
      undefined,
      'kept',
      'edge',
    ]);
    const events = new ProcessEvents(t);
    edit = () => {
      throw new Error('of the application');
    };
    const left = await client.call(METHOD, MESSAGE);
    t.strictSame(valuesOf(left.headers ?? left.trailers, 'grpc-status', 'server', 'x-kept'), [
      '5',
      undefined,
      undefined,
    ]);
    t.equal(events.warnings.length, 1);
  },
);

behaviour('who edits the response headers may end the call', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => respond(stream, ANSWER));
  const conn = world.dial(backend.port);
  const controller = new AbortController();
  const { port } = await world.proxy(
    () => ({ primary: { conn }, editResponseHeaders: () => controller.abort() }),
    {
      interceptors: [
        (stream, next) => {
          stream.context = stream.context.withSignal(controller.signal);
          return next();
        },
      ],
    },
  );
  const { headers, trailersOnly } = await world.http2Client(port).call(METHOD, MESSAGE);
  t.ok(trailersOnly);
  t.strictSame(valuesOf(headers, ':status', 'grpc-status'), ['200', String(Code.CANCELLED)]);
});

behaviour('a call that is refused by configuration says so, and by which route', async (t, world) => {
  const outcomes: CallOutcome[] = [];
  const { port } = await world.proxy(
    () => {
      throw Refusal.by(Code.PERMISSION_DENIED, 'not from outside', 'rejected', 'internal');
    },
    { observer: { onCall: (outcome) => void outcomes.push(outcome) } },
  );
  const { trailers, headers } = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(fieldValue(headers ?? trailers, 'grpc-status'), String(Code.PERMISSION_DENIED));
  await eventually('told', () => outcomes.length === 1);
  t.equal(outcomes[0]?.failure?.reason, 'rejected');
  t.equal(outcomes[0]?.route, 'internal');
  t.ok(outcomes[0]?.failure?.error instanceof StatusError);
});
