import { getEventListeners, once } from 'node:events';
import {
  type CallContext,
  type CallOutcome,
  type ClientConn,
  Code,
  type ServerOptions,
  type ServerStream,
  StatusError,
  type StreamDirector,
  transparentHandler,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { deferred } from '../support/deferred.js';
import type { Request } from '../support/http2-backend.js';
import { collectResponse } from '../support/http2-client.js';
import { ProcessEvents } from '../support/process-events.js';
import { dialled, MESSAGE, METHOD, message, ok, status } from '../support/unary.js';
import { within } from '../support/within.js';

// What `withTimeout`, `withDeadline` and `withSignal` promise: the earlier end ends what uses the context.

const never = new Promise<never>(() => {});

/** What interceptors may make of a context so that it ends, and how the call ends then. */
const ENDS: readonly (readonly [
  string,
  (ctx: CallContext, milliseconds?: number) => CallContext,
  Code,
  string,
  string,
])[] = [
  [
    'deadline',
    (ctx, milliseconds = 20) => ctx.withTimeout(milliseconds),
    Code.DEADLINE_EXCEEDED,
    'the deadline has passed',
    'deadline',
  ],
  [
    'signal',
    (ctx, milliseconds = 20) => ctx.withSignal(AbortSignal.timeout(milliseconds)),
    Code.CANCELLED,
    'the call was cancelled by its context',
    'interceptor',
  ],
];

/** A server whose interceptor puts another context in place; it has no more to do than `options` say. */
async function intercepted(world: World, derive: (ctx: CallContext) => CallContext, options: ServerOptions) {
  const outcome = deferred<CallOutcome>();
  const inner = deferred<unknown>();
  const { port } = await world.serve({
    ...options,
    interceptors: [
      async (stream, next) => {
        stream.context = derive(stream.context);
        await next().catch((error) => {
          inner.resolve(error);
          throw error;
        });
      },
    ],
    observer: { onCall: outcome.resolve },
  });
  return { port, outcome: outcome.promise, inner: inner.promise };
}

/** Waits for DATA without end. */
const reading = async (stream: ServerStream): Promise<void> => {
  for await (const _message of stream) throw new Error('nothing was sent');
};

const DIRECTORS: readonly (readonly [string, StreamDirector])[] = [
  [
    'a peek',
    async (_ctx, _method, peeker) => {
      await peeker.peek();
      throw new StatusError(Code.INTERNAL, 'nothing was sent');
    },
  ],
  ['a director that does not answer', () => never],
];

for (const [end, derive, code, text, reason] of ENDS) {
  for (const [what, unknownServiceHandler] of [
    ...DIRECTORS.map(([what, director]) => [what, transparentHandler(director)] as const),
    ['a local handler that reads', reading] as const,
    ['a local handler that does not return', () => never] as const,
  ]) {
    behaviour(`an interceptor's ${end} ends ${what}`, async (t, world) => {
      const { port, outcome, inner } = await intercepted(world, derive, { unknownServiceHandler });
      const stream = world.http2Client(port).open(METHOD);
      const response = await within(15_000, 'the call', collectResponse(stream));
      t.strictSame([status(response), message(response)], [String(code), text]);
      t.match(await outcome, { failure: { error: { code }, reason } });
      if (unknownServiceHandler === reading || what === 'a peek') t.match(await inner, { code });
    });
  }

  behaviour(
    `an interceptor's ${end} ends a call that runs, and its stream at the backend`,
    async (t, world) => {
      const reset = deferred<number>();
      const { destinations } = await dialled(world, [
        ({ stream }: Request) => void stream.on('close', () => reset.resolve(stream.rstCode)),
      ]);
      const told: StatusError[] = [];
      const errHandler = (error: StatusError): void => void told.push(error);
      // Connected, so that the end comes when the backend knows of the call.
      const conn = destinations[0]!.conn as ClientConn;
      conn.connect();
      while (conn.state.name !== 'READY') await conn.waitForStateChange(conn.state.name);
      const { port, outcome, inner } = await intercepted(world, (ctx) => derive(ctx, 200), {
        unknownServiceHandler: transparentHandler(() => ({ primary: { conn, errHandler } })),
      });
      const stream = world.http2Client(port).open(METHOD);
      const response = await within(15_000, 'the call', collectResponse(stream));
      t.strictSame([status(response), message(response)], [String(code), text]);
      t.match(await outcome, { failure: { error: { code }, reason } });
      t.match(await inner, { code });
      t.equal(await reset.promise, 8, 'CANCEL');
      t.strictSame(told, [], 'the proxy has cancelled it: that is no failure of its own');
    },
  );
}

behaviour('the signal of a derived context aborts at its deadline, and ends nothing', async (t, world) => {
  const { destinations } = await dialled(world, [ok]);
  const proxy = await world.proxy(async (ctx) => {
    const { signal } = ctx.withTimeout(10);
    await once(signal, 'abort');
    t.match(signal.reason, { code: Code.DEADLINE_EXCEEDED });
    t.equal(ctx.signal.aborted, false);
    return { primary: destinations[0]! };
  });
  t.equal(status(await world.http2Client(proxy.port).call(METHOD, MESSAGE)), '0');
});

behaviour("the signal of a derived context aborts when the client's call ends", async (t, world) => {
  const aborted = deferred<unknown>();
  const asked = deferred();
  const proxy = await world.proxy(async (ctx) => {
    const { signal } = ctx.withTimeout(60_000);
    signal.addEventListener('abort', () => aborted.resolve(signal.reason));
    asked.resolve();
    return never;
  });
  const stream = world.http2Client(proxy.port).open(METHOD, {}, true);
  await asked.promise;
  stream.close(8);
  t.match(await aborted.promise, { code: Code.CANCELLED });
});

behaviour('an interceptor may go back to a context that ends later', async (t, world) => {
  const { destinations } = await dialled(world, [ok]);
  const proxy = await world.proxy(() => ({ primary: destinations[0]! }), {
    interceptors: [
      async (stream, next) => {
        const before = stream.context;
        stream.context = before.withTimeout(10);
        const { signal } = stream.context;
        stream.context = before;
        await once(signal, 'abort');
        await next();
      },
    ],
  });
  t.equal(status(await world.http2Client(proxy.port).call(METHOD, MESSAGE)), '0');
});

behaviour('a context that has ended already ends the call at once', async (t, world) => {
  const ended = ENDS.map(([, , code]) => String(code));
  const contexts: ((ctx: CallContext) => CallContext)[] = [
    (ctx) => ctx.withTimeout(-1),
    (ctx) => ctx.withSignal(AbortSignal.abort()),
  ];
  for (const [index, derive] of contexts.entries()) {
    const { port } = await intercepted(world, derive, { unknownServiceHandler: () => never });
    t.equal(status(await world.http2Client(port).call(METHOD, MESSAGE)), ended[index]);
  }
});

behaviour('a signal given to many calls cancels them all, without a warning', async (t, world) => {
  const events = new ProcessEvents(t);
  const arrived = new Countdown(40);
  const { destinations } = await dialled(world, [
    ({ stream }) => void stream.on('data', () => arrived.tick()),
  ]);
  const shared = new AbortController();
  const server: ServerOptions = {
    // Of half of the calls it ends the destination only.
    interceptors: [
      (stream, next) => {
        if (stream.context.metadata.has('x-own')) stream.context = stream.context.withSignal(shared.signal);
        return next();
      },
    ],
  };
  const proxy = await world.proxy(
    (ctx) => ({ primary: { ...destinations[0]!, ctx: ctx.withSignal(shared.signal) } }),
    server,
  );
  const client = world.http2Client(proxy.port);
  const responses = Array.from({ length: 40 }, (_, index) => {
    const stream = client.open(METHOD, index % 2 === 0 ? {} : { 'x-own': '1' });
    stream.write(MESSAGE);
    return collectResponse(stream);
  });
  await arrived.done;
  t.equal(getEventListeners(shared.signal, 'abort').length, 1);
  shared.abort();
  const statuses = await within(15_000, 'the calls', Promise.all(responses));
  t.same(new Set(statuses.map(status)), new Set([String(Code.CANCELLED)]));
  await events.settled();
  t.strictSame(events.warnings, []);
  t.equal(getEventListeners(shared.signal, 'abort').length, 0);
});
