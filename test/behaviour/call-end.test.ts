import { test } from 'tap';
import {
  type CallContext,
  type CallOutcome,
  Code,
  dial,
  encodeMessage,
  handleStream,
  type ServerOptions,
  StatusError,
  type StreamDirector,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue, type Response } from '../support/http2-client.js';
import { ProcessEvents } from '../support/process-events.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

/** A proxy, and the outcome of the next call, once it is told. */
async function proxyOf(world: World, director: StreamDirector, options: ServerOptions = {}) {
  let onCall: (outcome: CallOutcome) => void = () => {};
  const outcome = new Promise<CallOutcome>((resolve) => (onCall = resolve));
  const { port } = await world.proxy(director, { observer: { onCall }, ...options });
  return { port, outcome };
}

function statusOf({ headers, trailers, trailersOnly }: Response): string | undefined {
  return fieldValue(trailersOnly ? headers : trailers, 'grpc-status');
}

/** As a deep clone makes it: the prototype, and none of what an error was made with. */
function copyOf<T extends object>(value: T): T {
  return Object.assign(Object.create(Object.getPrototypeOf(value) as object) as T, value);
}

behaviour('what only looks like a StatusError ends the call with UNKNOWN', async (t, world) => {
  const events = new ProcessEvents(t);
  const backend = await world.http2Backend(({ stream }) => respond(stream, MESSAGE));
  const conn = world.dial(backend.port);
  const fake = copyOf(new StatusError(Code.NOT_FOUND, 'gone'));
  const places: [StreamDirector, ServerOptions][] = [
    [() => Promise.reject(fake), {}],
    [() => ({ primary: { conn }, requestFinalizer: () => Promise.reject(fake) }), {}],
    [() => ({ primary: { conn }, callOptions: { credentials: () => Promise.reject(fake) } }), {}],
    [() => ({ primary: { conn } }), { interceptors: [() => Promise.reject(fake)] }],
  ];
  for (const [director, options] of places) {
    const { port, outcome } = await proxyOf(world, director, options);
    t.equal(statusOf(await world.http2Client(port).call(METHOD, MESSAGE)), '2');
    t.equal((await outcome).failure?.error.cause, fake);
  }
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour('an error whose message is no text is sent as its text', async (t, world) => {
  const { port } = await proxyOf(world, () => {
    throw Object.assign(new StatusError(Code.NOT_FOUND, ''), { message: { an: 'object' } });
  });
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(statusOf(response), '5');
  t.equal(fieldValue(response.headers, 'grpc-message'), '[object Object]');
});

behaviour(
  'a context that is none is refused, and the call ends at its deadline or before',
  async (t, world) => {
    const events = new ProcessEvents(t);
    for (const make of [(context: CallContext) => ({ ...context }), copyOf<CallContext>, () => undefined]) {
      const { port, outcome } = await proxyOf(world, () => Promise.reject(new Error('not reached')), {
        interceptors: [
          (stream, next) => {
            stream.context = make(stream.context) as CallContext;
            return next();
          },
        ],
      });
      const client = world.http2Client(port);
      const response = await client.call(METHOD, MESSAGE, { 'grpc-timeout': '10S' });
      t.equal(statusOf(response), '2');
      t.match(fieldValue(response.headers, 'grpc-message'), "a call's context must be a CallContext");
      t.equal((await outcome).failure?.reason, 'interceptor');
    }
    await events.settled();
    t.strictSame(events.fatal, []);
  },
);

for (const [title, signalOf] of [
  ['the signal of the call itself', ({ signal }: CallContext) => signal],
  ['one that the application aborts when the call is', abortedAfter],
] as const) {
  behaviour(`the deadline and the client decide how a call ends: ${title}`, async (t, world) => {
    const backend = await world.http2Backend(({ stream }) => void stream.on('error', () => {}));
    const conn = world.dial(backend.port);
    const director: StreamDirector = (context) => ({
      primary: { conn, ctx: context.withSignal(signalOf(context)) },
    });
    const late = await proxyOf(world, director);
    const response = await world.http2Client(late.port).call(METHOD, MESSAGE, { 'grpc-timeout': '100m' });
    t.equal(statusOf(response), '4');
    t.equal((await late.outcome).failure?.reason, 'deadline');

    let arrived = (): void => {};
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    const gone = await proxyOf(world, (context, ...rest) => {
      arrived();
      return director(context, ...rest);
    });
    const stream = world.http2Client(gone.port).open(METHOD, {}, true);
    await arrival;
    stream.close(8);
    t.equal((await gone.outcome).failure?.reason, 'client_cancelled');
  });
}

behaviour('what answers a call that is proxied gets an error, and not its response', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, MESSAGE);
  });
  const conn = world.dial(backend.port);
  const thrown: unknown[] = [];
  const { port, outcome } = await proxyOf(world, () => ({ primary: { conn } }), {
    interceptors: [
      async (stream, next) => {
        const proxied = next();
        try {
          stream.sendHeader();
        } catch (error) {
          thrown.push(error);
        }
        await stream.sendMessage(Buffer.from('mine')).catch((error: unknown) => thrown.push(error));
        await proxied;
      },
    ],
  });
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.strictSame(
    thrown.map((error) => (error as Error).message),
    Array(2).fill('the call is proxied: its response comes from the primary'),
  );
  t.equal(statusOf(response), '0');
  t.strictSame(response.data, MESSAGE);
  t.equal((await outcome).failure, undefined);
});

behaviour(
  'a destination that cannot be made: those before it are cancelled, and told so',
  async (t, world) => {
    const conn = world.dial((await world.http2Backend(() => {})).port);
    const told: unknown[] = [];
    const { port, outcome } = await proxyOf(world, () => ({
      primary: { conn, observer: { onStatus: (error) => void told.push(error?.code) } },
      secondaries: [{ conn: {} as typeof conn }],
    }));
    t.equal(statusOf(await world.http2Client(port).call(METHOD, MESSAGE)), '2');
    const { failure, destinations } = await outcome;
    t.equal(failure?.reason, 'director');
    t.strictSame(
      destinations.map((destination) => destination.failure?.reason),
      ['director'],
    );
    t.strictSame(told, [Code.UNKNOWN]);
  },
);

test('a timeout that no timer can wait for is refused', (t) => {
  for (const connectTimeoutMilliseconds of [0, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY]) {
    t.throws(() => dial('127.0.0.1:1', { limits: { connectTimeoutMilliseconds } }), RangeError);
  }
  t.end();
});

behaviour('a deadline that is no time fails the call with its name', async (t, world) => {
  const conn = world.dial((await world.http2Backend(() => {})).port);
  const { port } = await proxyOf(world, () => ({
    primary: { conn },
    callOptions: { deadline: new Date(Number.NaN) },
  }));
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.match(fieldValue(response.headers, 'grpc-message'), 'callOptions.deadline must be a Date');
});

behaviour('a second handleStream that is refused leaves the call as it was', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, MESSAGE);
  });
  const conn = world.dial(backend.port);
  let told: (outcome: CallOutcome) => void = () => {};
  const outcome = new Promise<CallOutcome>((resolve) => (told = resolve));
  const { port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      const first = handleStream(stream, '/a.B/C', { primary: { conn } });
      await t.rejects(handleStream(stream, '/x.Y/Wrong', { primary: { conn } }), { code: Code.INTERNAL });
      await first;
    },
    observer: { onCall: (call) => told(call) },
  });
  await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal((await outcome).method, '/a.B/C');
});

/** A signal of the application's own that it aborts from a listener. */
function abortedAfter({ signal }: CallContext): AbortSignal {
  const own = new AbortController();
  signal.addEventListener('abort', () => own.abort());
  return own.signal;
}
