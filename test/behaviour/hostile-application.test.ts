import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { Test } from 'tap';
import type {
  CallOptions,
  Destination,
  ResponseObserver,
  StreamDirector,
  StreamParameters,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { echo, failWith } from '../support/grpc-backend.js';
import type { CallResult } from '../support/grpc-client.js';
import { ProcessEvents } from '../support/process-events.js';
import { within } from '../support/within.js';

// Whatever the application's callbacks do, the process lives on, the call ends, and its error is not lost.

const ECHO = '/test.Service/Echo';
const FAIL = '/test.Service/Fail';

/** Things that JavaScript lets be thrown, and the text that says them. */
const THROWN: readonly (readonly [unknown, string])[] = [
  [new Error('an error'), 'an error'],
  ['a string', 'a string'],
  [undefined, 'undefined'],
  [null, 'null'],
  [7, '7'],
  [Symbol('s'), 'Symbol(s)'],
  [Object.create(null), 'unknown error'],
  [Object.defineProperty(new Error(), 'message', { get: () => Object.create(null) }), 'unknown error'],
];

function throwing(thrown: unknown): () => never {
  return () => {
    throw thrown;
  };
}

/** A value that the types forbid. */
function untyped<T>(value: unknown): T {
  return value as T;
}

interface Proxied {
  readonly events: ProcessEvents;
  /** Makes a call whose destinations are made by `parameters`; then one that must succeed as ever. */
  call(parameters: (primary: Destination) => StreamParameters, method?: string): Promise<CallResult>;
}

async function setUp(t: Test, world: World): Promise<Proxied> {
  const events = new ProcessEvents(t);
  const backend = await world.grpcBackend({
    [ECHO]: echo,
    [FAIL]: failWith(status.ABORTED, 'the backend’s own'),
  });
  const conn = world.dial(backend.port);
  let director: StreamDirector;
  const proxy = await world.proxy((ctx, method, peeker) => director(ctx, method, peeker));
  const client = world.grpcClient(proxy.port);
  return {
    events,
    async call(parameters, method = ECHO) {
      director = () => parameters({ conn });
      const result = await within(2000, 'the call', client.call(method, ['hi']));
      director = () => ({ primary: { conn } });
      const next = await within(2000, 'the next call', client.call(ECHO, ['hi']));
      t.equal(next.code, status.OK, 'the next call is as ever');
      await events.settled();
      t.strictSame(events.fatal, [], 'nothing that ends a process');
      return result;
    },
  };
}

behaviour('a director that throws or rejects with anything: UNKNOWN with its text', async (t, world) => {
  const { call } = await setUp(t, world);
  for (const [thrown, text] of THROWN) {
    for (const director of [throwing(thrown), () => untyped<StreamParameters>(Promise.reject(thrown))]) {
      const { code, details } = await call(director);
      t.strictSame([code, details], [status.UNKNOWN, text]);
    }
  }
});

behaviour('a director that answers with nonsense: UNKNOWN, and says what is missing', async (t, world) => {
  const { call } = await setUp(t, world);
  const noPrimary = 'the director named no primary destination';
  const noConn = 'a destination needs a conn: what dial() gave, or a ClientHttp2Session';
  const answers: readonly (readonly [(primary: Destination) => unknown, string | RegExp])[] = [
    [() => undefined, noPrimary],
    [() => null, noPrimary],
    [() => 7, noPrimary],
    [() => ({}), noPrimary],
    [() => Promise.resolve(undefined), noPrimary],
    [() => ({ primary: null }), /null/],
    [() => ({ primary: {} }), noConn],
    [() => ({ primary: { conn: null } }), noConn],
    [() => ({ primary: { conn: 'http://127.0.0.1:1' } }), noConn],
    [(primary) => ({ primary, secondaries: [{}] }), noConn],
    [(primary) => ({ primary, secondaries: [undefined] }), /undefined/],
    [(primary) => ({ primary, secondaries: 7 }), /iterable/],
    [(primary) => ({ primary: { ...primary, msg: 'text' } }), 'a message must be bytes: a Uint8Array'],
    [(primary) => ({ primary: { ...primary, observer: null } }), /null/],
    [(primary) => ({ primary, callOptions: null }), /null/],
  ];
  for (const [answer, text] of answers) {
    const { code, details } = await call((primary) => untyped(answer(primary)));
    t.equal(code, status.UNKNOWN, details);
    t.match(details, text);
  }
});

behaviour('a director’s answer may be anything that has then()', async (t, world) => {
  const { call } = await setUp(t, world);
  const result = await call((primary) =>
    untyped({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      then: (resolve: (parameters: StreamParameters) => void) => resolve({ primary }),
    }),
  );
  t.equal(result.messages.join(), 'hi');
});

behaviour('a context that is nonsense fails the call', async (t, world) => {
  const { call } = await setUp(t, world);
  for (const ctx of [{}, 7, { ownSignal: 'no signal' }]) {
    const { code } = await call((primary) => ({ primary: { ...primary, ctx: untyped(ctx) } }));
    t.ok(code === status.UNKNOWN || code === status.INTERNAL, status[code]);
  }
});

behaviour(
  'an error handler that throws or rejects with anything: UNKNOWN with its text',
  async (t, world) => {
    const { call } = await setUp(t, world);
    for (const [thrown, text] of THROWN) {
      for (const errHandler of [throwing(thrown), () => Promise.reject(thrown)]) {
        const asPrimary = await call((primary) => ({ primary: { ...primary, errHandler } }), FAIL);
        t.strictSame([asPrimary.code, asPrimary.details], [status.UNKNOWN, text]);
      }
    }
  },
);

behaviour('a secondary’s error handler that throws anything: INTERNAL with its text', async (t, world) => {
  const { call } = await setUp(t, world);
  for (const [thrown, text] of THROWN) {
    const { code, details } = await call(
      (primary) => ({
        primary: { ...primary, errHandler: () => null },
        secondaries: [{ ...primary, errHandler: throwing(thrown) }],
      }),
      FAIL,
    );
    t.strictSame([code, details], [status.INTERNAL, `failed proxying to secondary: ${text}`]);
  }
});

behaviour(
  'an error handler’s verdict: nothing swallows, and anything else fails the call',
  async (t, world) => {
    const { call } = await setUp(t, world);
    const verdicts: readonly (readonly [unknown, status, string])[] = [
      [undefined, status.ABORTED, 'the backend’s own'],
      [null, status.OK, ''],
      [Promise.resolve(null), status.OK, ''],
      ['text', status.UNKNOWN, 'text'],
      [false, status.UNKNOWN, 'false'],
      [new Error('another'), status.UNKNOWN, 'another'],
      // biome-ignore lint/suspicious/noThenProperty: that is what is tested
      [{ then: (resolve: (value: null) => void) => resolve(null) }, status.OK, ''],
    ];
    for (const [verdict, code, text] of verdicts) {
      const errHandler = () => untyped<undefined>(verdict);
      const result = await call((primary) => ({ primary: { ...primary, errHandler } }), FAIL);
      t.strictSame([result.code, result.details], [code, text]);
    }
    const noFunction = untyped<() => undefined>('no function');
    const result = await call((primary) => ({ primary: { ...primary, errHandler: noFunction } }), FAIL);
    t.equal(result.code, status.UNKNOWN);
  },
);

behaviour('error handlers that fail at a primary that cannot be opened: warnings', async (t, world) => {
  const { call, events } = await setUp(t, world);
  const gone = await world.http2Backend(() => {});
  gone.destroy();
  const conn = world.dial(gone.port);
  for (const [thrown, text] of THROWN) {
    events.warnings.length = 0;
    const result = await call((primary) => ({
      primary: { conn, errHandler: throwing(thrown) },
      secondaries: [{ ...primary, errHandler: () => Promise.reject(thrown) }],
    }));
    t.equal(result.code, status.UNAVAILABLE);
    t.strictSame(events.warnings, [text, text]);
  }
});

behaviour(
  'a finalizer that throws or rejects with anything fails only what had not failed',
  async (t, world) => {
    const { call } = await setUp(t, world);
    for (const [thrown, text] of THROWN) {
      for (const requestFinalizer of [throwing(thrown), () => Promise.reject(thrown)]) {
        const ok = await call((primary) => ({ primary, requestFinalizer }));
        t.strictSame([ok.code, ok.details, ok.messages.join()], [status.UNKNOWN, text, 'hi']);
        const failed = await call((primary) => ({ primary, requestFinalizer }), FAIL);
        t.strictSame([failed.code, failed.details], [status.ABORTED, 'the backend’s own']);
      }
    }
    const noFunction = untyped<() => void>(7);
    t.equal((await call((primary) => ({ primary, requestFinalizer: noFunction }))).code, status.UNKNOWN);
    const nonsense = () => untyped<void>(7);
    t.equal((await call((primary) => ({ primary, requestFinalizer: nonsense }))).code, status.OK);
  },
);

behaviour('callbacks that look on, and throw or reject, are warnings', async (t, world) => {
  const { call, events } = await setUp(t, world);
  const failures = [throwing(new Error('oops')), async () => throwing(new Error('oops'))()];
  for (const fail of failures) {
    for (const name of ['onHeaders', 'onTrailers', 'onFinish'] as const) {
      for (const [method, code] of [
        [ECHO, status.OK],
        [FAIL, status.ABORTED],
      ] as const) {
        events.warnings.length = 0;
        const callOptions: CallOptions = { [name]: fail };
        const result = await call((primary) => ({ primary, secondaries: [primary], callOptions }), method);
        // The secondary fails, too; the primary's error comes first.
        if (method === ECHO) t.equal(result.code, code);
        else t.ok(result.code === status.ABORTED || result.code === status.INTERNAL, result.details);
        const calls = method === FAIL && name === 'onHeaders' ? 0 : events.warnings.length;
        t.strictSame(events.warnings, Array(calls).fill('oops'), `${name} of ${method}`);
        if (method === ECHO) t.equal(calls, 2);
      }
    }
    for (const name of ['onHeaders', 'onMessage', 'onStatus'] as const) {
      events.warnings.length = 0;
      const observer: ResponseObserver = { [name]: fail };
      const result = await call((primary) => ({ primary: { ...primary, observer } }));
      t.strictSame([result.code, result.messages.join()], [status.OK, 'hi'], name);
      t.strictSame(events.warnings, ['oops'], name);
    }
  }
});

behaviour(
  'onFinish that throws when the call is cancelled keeps no destination from its cancel',
  async (t, world) => {
    const events = new ProcessEvents(t);
    const arrived = new Countdown(3);
    const cancelled = new Countdown(3);
    const backend = await world.http2Backend(({ stream }) => {
      arrived.tick();
      stream.on('close', () => {
        if (stream.rstCode === constants.NGHTTP2_CANCEL) cancelled.tick();
      });
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({
      primary: { conn },
      secondaries: [{ conn }, { conn }],
      callOptions: { onFinish: throwing(new Error('oops')) },
    }));
    const call = world.grpcClient(proxy.port).open(ECHO);
    call.on('error', () => {});
    await within(2000, 'three streams', arrived.done);
    call.cancel();
    await within(2000, 'three cancels', cancelled.done);
    await events.settled();
    t.strictSame(events.fatal, []);
    t.strictSame(events.warnings, ['oops', 'oops', 'oops']);
  },
);

behaviour('credentials that throw or reject with anything fail the call with that', async (t, world) => {
  const { call } = await setUp(t, world);
  for (const [thrown, text] of THROWN) {
    for (const credentials of [throwing(thrown), () => Promise.reject(thrown)]) {
      const { code, details } = await call((primary) => ({ primary, callOptions: { credentials } }));
      t.strictSame([code, details], [status.UNKNOWN, text]);
    }
  }
  for (const nonsense of [7, {}, 'token']) {
    const credentials = () => untyped<never>(nonsense);
    const { code } = await call((primary) => ({ primary, callOptions: { credentials } }));
    t.equal(code, status.INTERNAL);
  }
  const noFunction = untyped<() => never>('token');
  const result = await call((primary) => ({ primary, callOptions: { credentials: noFunction } }));
  t.equal(result.code, status.UNKNOWN);
});
