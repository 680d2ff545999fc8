import { status } from '@grpc/grpc-js';
import { type Test, test } from 'tap';
import {
  type CallObserver,
  type CallOptions,
  type Destination,
  handleStream,
  Metadata,
  Server,
  type ServerStream,
  type StreamHandler,
  type StreamParameters,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import type { CallResult } from '../support/grpc-client.js';
import {
  failures,
  fulfilments,
  mine,
  never,
  THROWN,
  throwing,
  untyped,
  withTrap,
} from '../support/hostile-values.js';
import { FAIL, ProxiedCalls } from '../support/proxied-calls.js';

// Whatever the application's objects are, the process lives on, each call ends, and the others do not notice.

const HERE = '/test.Service/Here';

const AT_TRAP = [status.UNKNOWN, 'a trap'];

behaviour('an answer whose properties throw when they are read: UNKNOWN with that', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const answers: readonly ((primary: Destination) => StreamParameters)[] = [
    () => withTrap(untyped<StreamParameters>({}), 'primary'),
    ...['secondaries', 'callOptions', 'requestFinalizer'].map(
      (name) => (primary: Destination) => withTrap({ primary }, name),
    ),
    ...['conn', 'ctx', 'msg', 'errHandler', 'observer'].flatMap((name) => [
      () => ({ primary: withTrap(untyped<Destination>({}), name) }),
      (primary: Destination) => ({ primary, secondaries: [withTrap(untyped<Destination>({}), name)] }),
    ]),
    ...[
      'authority',
      'credentials',
      'deadline',
      'maxReceiveMessageBytes',
      'maxSendMessageBytes',
      'onFinish',
      'onHeaders',
      'onTrailers',
      'preserveAuthority',
      'retry',
      'waitForReady',
    ].map((name) => (primary: Destination) => ({ primary, callOptions: withTrap({}, name) })),
    (primary) => ({ primary: { ...primary, observer: withTrap({}, 'onMessage') } }),
    (primary) => ({ primary, secondaries: withTrap([], Symbol.iterator) }),
  ];
  for (const answer of answers) {
    for (const director of [answer, async (primary: Destination) => answer(primary)]) {
      const { code, details } = await calls.call(director);
      t.strictSame([code, details], AT_TRAP, `${answer}`);
    }
  }
});

behaviour('an answer of objects that throw at whatever is done with them: UNKNOWN', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const answers: readonly ((primary: Destination) => unknown)[] = [
    mine,
    () => ({ primary: mine() }),
    () => ({ primary: { conn: mine() } }),
    (primary) => ({ primary: { ...primary, msg: mine() } }),
    (primary) => ({ primary: { ...primary, observer: mine() } }),
    (primary) => ({ primary, secondaries: mine() }),
    (primary) => ({ primary, secondaries: [mine()] }),
    (primary) => ({ primary, callOptions: mine() }),
    (primary) => ({ primary, callOptions: { deadline: mine() } }),
  ];
  for (const answer of answers) {
    const { code, details } = await calls.call((primary) => untyped(answer(primary)));
    t.strictSame([code, details], [status.UNKNOWN, 'a mine'], `${answer}`);
  }
  const { code } = await calls.call((primary) => ({ primary: { ...primary, ctx: untyped(mine()) } }));
  t.equal(code, status.UNKNOWN);
});

behaviour('call options that are nonsense: UNKNOWN, and say which', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const limit = /^callOptions\.max(?:Send|Receive)MessageBytes must be a number of bytes(?: from 0)?, not /;
  const deadline = 'callOptions.deadline must be a Date or milliseconds since the epoch';
  const options: readonly (readonly [
    name: keyof CallOptions,
    values: readonly unknown[],
    text: string | RegExp,
  ])[] = [
    ['maxReceiveMessageBytes', [null, NaN, -1, '7', {}, Symbol('s'), 7n], limit],
    ['maxSendMessageBytes', [null, NaN, -1, '7', {}, Symbol('s'), 7n], limit],
    ['deadline', [NaN, 'soon', '', null, true, [], {}, new Date('never')], deadline],
    ['deadline', [Symbol('s'), Object.create(null), 7n], deadline],
    ['retry', [null, 7, 'often', {}, [], Object.create(null)], /^callOptions\.retry/],
  ];
  for (const [name, values, text] of options) {
    for (const value of values) {
      const { code, details } = await calls.call((primary) => ({ primary, callOptions: { [name]: value } }));
      t.equal(code, status.UNKNOWN, name);
      t.match(details, text);
    }
  }
});

/** What only looks like metadata: its fields cannot be sent. */
const LOOKALIKES = [
  ...[['a b', 'c'], 7, null].map((list) => () => list),
  throwing(Object.create(null)),
  throwing(new Error('a trap')),
].map((toHeaders) => untyped<Metadata>({ toHeaders }));

behaviour('what only looks like metadata fails the call that it is for', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  for (const metadata of [...LOOKALIKES, withTrap({ x: 7 }, 'toHeaders'), { x: 7 }, 7]) {
    const own = await calls.direct((ctx) => ({
      primary: { conn: calls.conn, ctx: ctx.withMetadata(untyped(metadata)) },
    }));
    const added = await calls.call((primary) => ({
      primary,
      callOptions: { credentials: () => untyped(metadata) },
    }));
    t.strictSame(
      [own.code, added.code],
      // What a context is to carry is looked at when it is given: the director throws.
      [status.UNKNOWN, status.INTERNAL],
      `${own.details}; ${added.details}`,
    );
  }
});

behaviour('peeks that are nonsense fail their director', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  for (const [count, options] of [
    [mine(), {}],
    [Symbol('s'), {}],
    [1, null],
    [1, withTrap({}, 'inflate')],
  ]) {
    const { code } = await calls.direct(async (_ctx, _method, peeker) => {
      await peeker.peek(untyped(count), untyped(options));
      return { primary: { conn: calls.conn } };
    });
    t.equal(code, status.UNKNOWN);
  }
});

behaviour('a signal that is none is refused, before anything listens to it', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const fake = { aborted: false, addEventListener() {}, removeEventListener: throwing(new Error('a trap')) };
  for (const signal of [fake, {}, null, mine()]) {
    const { code } = await calls.direct((ctx) => ({
      primary: { conn: calls.conn, ctx: ctx.withSignal(untyped(signal)) },
    }));
    t.equal(code, status.UNKNOWN);
  }
});

test('interceptors that are no list are refused when the server is made', (t) => {
  for (const interceptors of [7, {}]) {
    t.throws(() => new Server({ interceptors: untyped(interceptors) }), TypeError);
  }
  t.end();
});

behaviour('an error whose message is of a megabyte is told, and harms no other call', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  for (const letter of ['x', 'ü', '\u{1f4a5}']) {
    const { code, details } = await calls.direct(throwing(new Error(letter.repeat(1_000_000))));
    t.equal(code, status.UNKNOWN);
    t.ok(details.startsWith(letter.repeat(2000)) && details.length < 5000);
  }
});

behaviour('promises that misbehave count once, as they are settled first', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world);
  const parameters = { primary: { conn: calls.conn } };
  for (const director of fulfilments(parameters)) {
    const { code, messages } = await calls.direct(director);
    t.strictSame([code, messages.join()], [status.OK, 'hi']);
  }
  for (const errHandler of fulfilments(null)) {
    const { code } = await calls.call((primary) => ({ primary: { ...primary, errHandler } }), FAIL);
    t.equal(code, status.OK);
  }
  for (const requestFinalizer of fulfilments(undefined)) {
    t.equal((await calls.call((primary) => ({ primary, requestFinalizer }))).code, status.OK);
  }
  for (const credentials of fulfilments(new Metadata())) {
    t.equal((await calls.call((primary) => ({ primary, callOptions: { credentials } }))).code, status.OK);
  }
  // biome-ignore lint/suspicious/noThenProperty: that is what is tested
  const rejected = () => untyped<Promise<never>>({ then: throwing(new Error('a trap')) });
  for (const director of [rejected, () => withTrap(untyped<Promise<never>>({}), 'then')]) {
    const { code, details } = await calls.direct(director);
    t.strictSame([code, details], AT_TRAP);
  }
  const constructed = () => withTrap(Promise.resolve(parameters), 'constructor');
  const { code, details } = await calls.direct(constructed);
  t.strictSame([code, details], AT_TRAP);
});

behaviour('hooks that never settle: the deadline of the client ends the call', async (t, world) => {
  const calls = await ProxiedCalls.start(t, world, {
    interceptors: [(stream, next) => (stream.method.endsWith('Intercepted') ? never() : next())],
  });
  const hung: readonly (readonly [(primary: Destination) => StreamParameters | Promise<never>, string?])[] = [
    [() => never()],
    [(primary) => ({ primary, requestFinalizer: never })],
    [(primary) => ({ primary, callOptions: { credentials: never } })],
    [(primary) => ({ primary: { ...primary, errHandler: never } }), FAIL],
    [(primary) => ({ primary, secondaries: [{ ...primary, errHandler: never }] }), FAIL],
    [(primary) => ({ primary }), '/test.Service/Intercepted'],
  ];
  for (const [parameters, method] of hung) {
    // The primary's own failure does not wait for a secondary's handler, nor for the deadline.
    const isPrimarys = `${parameters}`.includes('secondaries');
    const { code } = await calls.call(parameters, method, isPrimarys ? '10S' : '10m');
    const expected = isPrimarys ? status.ABORTED : status.DEADLINE_EXCEEDED;
    t.equal(code, expected, `${parameters}`);
  }
});

/** A server's own handler in place of the proxy, called with what the test sets before each call. */
async function handled(t: Test, world: World, observer?: CallObserver) {
  let handler: StreamHandler = () => {};
  const calls = await ProxiedCalls.start(t, world, {
    observer,
    interceptors: [(stream, next) => (stream.method === HERE ? handler(stream) : next())],
  });
  const call = (next: StreamHandler, timeout?: string): Promise<CallResult> => {
    handler = next;
    return calls.call((primary) => ({ primary }), HERE, timeout);
  };
  return { calls, call };
}

behaviour(
  'a handler that throws or rejects with anything: its status, or UNKNOWN with its text',
  async (t, world) => {
    const { call } = await handled(t, world);
    for (const [thrown, expected, text] of THROWN) {
      for (const fail of failures(thrown)) {
        const early = await call(fail);
        t.strictSame([early.code, early.details], [expected, text]);
      }
      const late = await call(async (stream) => {
        await stream.sendMessage(Buffer.from('hi'));
        throw thrown;
      });
      t.strictSame([late.code, late.details, late.messages.join()], [expected, text, 'hi']);
    }
  },
);

behaviour('a handler that answers with nonsense fails its own call', async (t, world) => {
  const { call } = await handled(t, world);
  const answers: readonly ((stream: ServerStream) => void | Promise<void>)[] = [
    ...['text', 7, null, {}, []].map((value) => (stream: ServerStream) => stream.sendMessage(untyped(value))),
    ...['text', 7, null, { x: 7 }, mine()].flatMap((value) => [
      (stream: ServerStream) => stream.sendHeader(untyped(value)),
      (stream: ServerStream) => stream.setTrailer(untyped(value)),
    ]),
    (stream) => {
      stream.sendHeader();
      stream.sendHeader();
    },
    (stream) => {
      stream.context = untyped(mine());
    },
    async (stream) => void (await handleStream(stream, untyped(7), { primary: untyped({}) })),
  ];
  for (const answer of answers) {
    const { code, details } = await call(answer);
    t.equal(code, status.UNKNOWN, `${answer}: ${details}`);
  }
  for (const metadata of LOOKALIKES) {
    for (const answer of [
      (stream: ServerStream) => stream.sendHeader(metadata),
      (stream: ServerStream) => stream.setTrailer(metadata),
    ]) {
      // Some show only when they are sent, and end in a reset.
      const { code } = await call(answer);
      t.ok([status.UNKNOWN, status.INTERNAL].includes(code), status[code]);
    }
  }
});

behaviour('an observer whose properties throw, or are none, keeps no call from its end', async (t, world) => {
  const observers: [observer: CallObserver, warnings: number][] = [
    [withTrap({}, 'onCall', 'onRefused'), 1],
    [untyped<CallObserver>({ onCall: 7, onRefused: 'text' }), 1],
    // At the start, and at the end.
    [untyped<CallObserver>(mine()), 2],
  ];
  for (const [observer, warnings] of observers) {
    const { call, calls } = await handled(t, world, observer);
    calls.events.warnings.length = 0;
    t.equal((await call(() => {})).code, status.OK);
    t.equal(calls.events.warnings.length, warnings);
  }
});
