import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { CallOptions, Destination, ResponseObserver } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { failures, THROWN, throwing, untyped } from '../support/hostile-values.js';
import { ProcessEvents } from '../support/process-events.js';
import { ECHO, FAIL, ProxiedCalls } from '../support/proxied-calls.js';
import { within } from '../support/within.js';

// Whatever the application's callbacks do, the process lives on, the call ends, and its error is not lost.

behaviour(
  'a director that throws or rejects with anything: its status, or UNKNOWN with its text',
  async (t, world) => {
    const calls = await ProxiedCalls.start(t, world);
    for (const [thrown, expected, text] of THROWN) {
      for (const director of failures(thrown)) {
        const { code, details } = await calls.call(director);
        t.strictSame([code, details], [expected, text]);
      }
    }
  },
);

behaviour('a director that answers with nonsense: UNKNOWN, and says what is missing', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const noPrimary = 'the director named no primary destination';
  const noConn = 'a destination needs a conn: what dial() gave, or a ClientHttp2Session';
  const noSecondaries = 'secondaries must be an array of destinations, or { of, need }';
  const badOptions: readonly (readonly [unknown, string])[] = [
    [null, ' must be an object, not null'],
    [5, ' must be an object, not number'],
    [{ waitForReady: 'yes' }, '.waitForReady must be true or false, not string'],
    [{ preserveAuthority: 1 }, '.preserveAuthority must be true or false, not number'],
    [{ maxSendMessageBytes: -1 }, '.maxSendMessageBytes must be a number of bytes from 0, not -1'],
    [{ maxReceiveMessageBytes: '1' }, '.maxReceiveMessageBytes must be a number of bytes, not string'],
    [{ deadline: 'soon' }, '.deadline must be a Date or milliseconds since the epoch, not "soon"'],
    [{ credentials: {} }, '.credentials must be a function, not object'],
    [{ onHeaders: 5 }, '.onHeaders must be a function, not number'],
    [{ onTrailers: 5 }, '.onTrailers must be a function, not number'],
    [{ onFinish: 5 }, '.onFinish must be a function, not number'],
  ];
  const noContext = "a destination's ctx must be a CallContext";
  const answers: readonly (readonly [(primary: Destination) => unknown, string | RegExp])[] = [
    [() => undefined, noPrimary],
    [() => null, noPrimary],
    [() => 7, noPrimary],
    [() => ({}), noPrimary],
    [() => Promise.resolve(undefined), noPrimary],
    [() => ({ primary: null }), 'a destination must be an object with a conn, not null'],
    [(primary) => ({ primry: primary }), `${noPrimary} (did you mean primary by "primry"?)`],
    [() => ({ primary: {} }), noConn],
    [() => ({ primary: { conn: null } }), noConn],
    [() => ({ primary: { conn: 'http://127.0.0.1:1' } }), noConn],
    [(primary) => ({ primary, secondaries: [{}] }), noConn],
    [
      (primary) => ({ primary, secondaries: [undefined] }),
      'a destination must be an object with a conn, not undefined',
    ],
    [(primary) => ({ primary, secondaries: 7 }), `${noSecondaries}, not number`],
    [(primary) => ({ primary, secondaries: null }), `${noSecondaries}, not null`],
    [(primary) => ({ primary, secondaries: { off: [] } }), `${noSecondaries}, not object`],
    [(primary) => ({ primary: { ...primary, msg: 'text' } }), 'a message must be bytes: a Uint8Array'],
    [(primary) => ({ primary: { ...primary, observer: null } }), /null/],
    ...badOptions.map(
      ([callOptions, text]) =>
        [(primary: Destination) => ({ primary, callOptions }), `callOptions${text}`] as const,
    ),
    [
      (primary) => ({ primary, callOptions: { timeout: 5 } }),
      /^there is no option callOptions.timeout: there are waitForReady, /,
    ],
    [(primary) => ({ primary: { ...primary, ctx: 7 } }), noContext],
    [(primary) => ({ primary: { ...primary, ctx: {} } }), noContext],
    [(primary) => ({ primary: { ...primary, ctx: { ownSignal: 'no signal' } } }), noContext],
  ];
  for (const [answer, text] of answers) {
    const { code, details } = await calls.call((primary) => untyped(answer(primary)));
    t.equal(code, status.UNKNOWN, details);
    t.match(details, text);
  }
});

behaviour(
  'an error handler that throws or rejects with anything: its status, or UNKNOWN with its text',
  async (t, world) => {
    const calls = await ProxiedCalls.start(t, world);
    for (const [thrown, code, text] of THROWN) {
      for (const errHandler of failures(thrown)) {
        const asPrimary = await calls.call((primary) => ({ primary: { ...primary, errHandler } }), FAIL);
        t.strictSame([asPrimary.code, asPrimary.details], [code, text]);
      }
    }
  },
);

behaviour('a secondary’s error handler that throws anything: INTERNAL with its text', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  for (const [thrown, , text] of THROWN) {
    const { code, details } = await calls.call(
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
    const calls = await ProxiedCalls.start(t, world);
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
      const result = await calls.call((primary) => ({ primary: { ...primary, errHandler } }), FAIL);
      t.strictSame([result.code, result.details], [code, text]);
    }
    const noFunction = untyped<() => undefined>('no function');
    const result = await calls.call((primary) => ({ primary: { ...primary, errHandler: noFunction } }), FAIL);
    t.equal(result.code, status.UNKNOWN);
  },
);

behaviour('error handlers that fail at a primary that cannot be opened: warnings', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const { events } = calls;
  const gone = await world.http2Backend(() => {});
  gone.destroy();
  const conn = world.dial(gone.port);
  for (const [thrown, , text] of THROWN) {
    events.warnings.length = 0;
    const result = await calls.call((primary) => ({
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
    const calls = await ProxiedCalls.start(t, world);
    for (const [thrown, code, text] of THROWN) {
      for (const requestFinalizer of failures(thrown)) {
        const ok = await calls.call((primary) => ({ primary, requestFinalizer }));
        t.strictSame([ok.code, ok.details, ok.messages.join()], [code, text, 'hi']);
      }
      const failing = (primary: Destination) => ({ primary, requestFinalizer: throwing(thrown) });
      const failed = await calls.call(failing, FAIL);
      t.strictSame([failed.code, failed.details], [status.ABORTED, 'the backend’s own']);
    }
    const noFunction = untyped<() => void>(7);
    t.equal(
      (await calls.call((primary) => ({ primary, requestFinalizer: noFunction }))).code,
      status.UNKNOWN,
    );
    const nonsense = () => untyped<void>(7);
    t.equal((await calls.call((primary) => ({ primary, requestFinalizer: nonsense }))).code, status.OK);
  },
);

behaviour('callbacks that look on, and throw or reject, are warnings', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const { events } = calls;
  const failures = [throwing(new Error('oops')), async () => throwing(new Error('oops'))()];
  for (const fail of failures) {
    for (const name of ['onHeaders', 'onTrailers', 'onFinish'] as const) {
      for (const [method, code] of [
        [ECHO, status.OK],
        [FAIL, status.ABORTED],
      ] as const) {
        events.warnings.length = 0;
        const callOptions: CallOptions = { [name]: fail };
        const result = await calls.call(
          (primary) => ({ primary, secondaries: [primary], callOptions }),
          method,
        );
        // The secondary fails, too; the primary's error comes first.
        if (method === ECHO) t.equal(result.code, code);
        else t.ok(result.code === status.ABORTED || result.code === status.INTERNAL, result.details);
        const count = method === FAIL && name === 'onHeaders' ? 0 : events.warnings.length;
        t.strictSame(events.warnings, Array(count).fill('oops'), `${name} of ${method}`);
        if (method === ECHO) t.equal(count, 2);
      }
    }
    for (const name of ['onHeaders', 'onMessage', 'onStatus'] as const) {
      events.warnings.length = 0;
      const observer: ResponseObserver = { [name]: fail };
      const result = await calls.call((primary) => ({ primary: { ...primary, observer } }));
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
  const calls = await ProxiedCalls.start(t, world);
  for (const [thrown, expected, text] of THROWN) {
    for (const credentials of failures(thrown)) {
      const { code, details } = await calls.call((primary) => ({ primary, callOptions: { credentials } }));
      t.strictSame([code, details], [expected, text]);
    }
  }
  for (const nonsense of [7, {}, 'token']) {
    const credentials = () => untyped<never>(nonsense);
    const { code } = await calls.call((primary) => ({ primary, callOptions: { credentials } }));
    t.equal(code, status.INTERNAL);
  }
  const noFunction = untyped<() => never>('token');
  const result = await calls.call((primary) => ({ primary, callOptions: { credentials: noFunction } }));
  t.equal(result.code, status.UNKNOWN);
});
