import { AsyncLocalStorage } from 'node:async_hooks';
import http2 from 'node:http2';
import {
  type CallOutcome,
  Code,
  encodeMessage,
  type RefusedRequest,
  type ServerOptions,
  StatusError,
  type StreamDirector,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { respond } from '../support/http2-backend.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));
const ANSWER = encodeMessage(Buffer.from('the answer'));
const { NGHTTP2_CANCEL, NGHTTP2_PROTOCOL_ERROR } = http2.constants;

/** A proxy with an observer, and what that hears next. */
async function observed(world: World, director: StreamDirector, options: ServerOptions = {}) {
  const outcomes: CallOutcome[] = [];
  let heard = (): void => {};
  const proxy = await world.proxy(director, {
    observer: {
      onCall: (outcome) => {
        outcomes.push(outcome);
        heard();
      },
    },
    ...options,
  });
  const outcome = async (): Promise<CallOutcome> => {
    while (outcomes.length === 0) await new Promise<void>((resolve) => (heard = resolve));
    return outcomes.shift()!;
  };
  return { ...proxy, outcomes, outcome };
}

behaviour(
  'the observer hears of a call that ended OK: peer, counts, times, destinations',
  async (t, world) => {
    const ok = await world.http2Backend(async ({ stream, body }) => {
      await body();
      respond(stream, Buffer.concat([ANSWER, ANSWER]));
    });
    const [primary, secondary] = [world.dial(ok.port), world.dial(ok.port)];
    const { port, outcome, outcomes } = await observed(world, () => ({
      primary: { conn: primary },
      secondaries: [{ conn: secondary }],
    }));
    const before = Date.now();
    await world.http2Client(port).call(METHOD, Buffer.concat([MESSAGE, MESSAGE, MESSAGE]));
    const { context, startedAt, durationMilliseconds, headersMilliseconds, ...rest } = await outcome();
    t.strictSame(rest, {
      method: METHOD,
      route: undefined,
      failure: undefined,
      messagesReceived: 3,
      messagesSent: 2,
      bytesReceived: 3 * 'message'.length,
      bytesSent: 2 * 'the answer'.length,
      destinations: [
        { role: 'primary', target: `127.0.0.1:${ok.port}`, attempts: 1, failure: undefined },
        { role: 'secondary', target: `127.0.0.1:${ok.port}`, attempts: 1, failure: undefined },
      ],
      shadows: [],
    });
    t.match(context.peer, /^127\.0\.0\.1:\d+$/);
    t.ok(startedAt >= before - 1000 && startedAt <= Date.now() + 1000);
    t.ok(
      durationMilliseconds > 0 && headersMilliseconds! > 0 && headersMilliseconds! <= durationMilliseconds,
    );
    t.equal(outcomes.length, 0, 'once');
  },
);

behaviour('the observer hears who failed a call, and why', async (t, world) => {
  const failing = await world.http2Backend(({ stream }) => {
    respond(stream, ANSWER, { 'grpc-status': '9', 'grpc-message': 'not now' });
  });
  const resetting = await world.http2Backend(({ stream }) => stream.close(NGHTTP2_PROTOCOL_ERROR));
  const alive = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, ANSWER);
  });
  const gone = await world.frameBackend(() => {});
  const { port: goneTarget } = gone;
  await gone.close();
  const conns = {
    failing: world.dial(failing.port),
    resetting: world.dial(resetting.port),
    alive: world.dial(alive.port),
    gone: world.dial(goneTarget),
  };
  const cases: Record<string, [StreamDirector, Code, object]> = {
    backend_status: [() => ({ primary: { conn: conns.failing } }), Code.FAILED_PRECONDITION, { attempts: 1 }],
    backend_reset: [() => ({ primary: { conn: conns.resetting } }), Code.INTERNAL, { attempts: 1 }],
    backend_connect: [() => ({ primary: { conn: conns.gone } }), Code.UNAVAILABLE, { attempts: 0 }],
    secondary: [
      () => ({ primary: { conn: conns.alive }, secondaries: [{ conn: conns.failing }] }),
      Code.INTERNAL,
      { failure: undefined },
    ],
    director: [
      () => {
        throw new StatusError(Code.PERMISSION_DENIED, 'not you');
      },
      Code.PERMISSION_DENIED,
      {},
    ],
    finalizer: [
      () => ({
        primary: { conn: conns.alive },
        requestFinalizer: () => {
          throw new StatusError(Code.DATA_LOSS, 'lost');
        },
      }),
      Code.DATA_LOSS,
      { failure: undefined },
    ],
  };
  for (const [reason, [director, code, primary]] of Object.entries(cases)) {
    const { port, outcome } = await observed(world, director);
    await world.http2Client(port).call(METHOD, MESSAGE);
    const { failure, destinations } = await outcome();
    t.match({ reason: failure?.reason, code: failure?.error.code }, { reason, code }, reason);
    if (destinations.length > 0) t.match(destinations[0], primary, `${reason}: the primary's own end`);
    if (reason === 'secondary') t.match(destinations[1], { failure: { reason: 'backend_status' } });
  }
});

behaviour('the observer hears of clients that cancel, go, or have no time', async (t, world) => {
  const silent = await world.http2Backend(() => {});
  const conn = world.dial(silent.port);
  const { port, outcome } = await observed(world, () => ({ primary: { conn } }));
  const client = world.http2Client(port);
  const arrived = () => new Promise((resolve) => silent.server.once('stream', resolve));

  let request = arrived();
  const cancelled = client.open(METHOD, {}, true);
  cancelled.write(MESSAGE);
  await request;
  cancelled.close(NGHTTP2_CANCEL);
  t.match(await outcome(), {
    failure: { reason: 'client_cancelled', error: { code: Code.CANCELLED } },
    destinations: [{ failure: { reason: 'client_cancelled' } }],
  });

  client.open(METHOD, { 'grpc-timeout': '50m' });
  t.match(await outcome(), { failure: { reason: 'deadline', error: { code: Code.DEADLINE_EXCEEDED } } });

  request = arrived();
  client.open(METHOD).write(MESSAGE);
  await request;
  client.destroy();
  t.match(await outcome(), { failure: { reason: 'client_gone', error: { code: Code.CANCELLED } } });
});

behaviour('the observer hears of calls that nobody handles, and of interceptors', async (t, world) => {
  const { port, outcome } = await observed(
    world,
    () => {
      throw new Error('unreachable');
    },
    {
      unknownServiceHandler: undefined,
      interceptors: [
        (stream, next) => {
          if (stream.context.metadata.has('x-refuse')) throw new StatusError(Code.UNAUTHENTICATED, 'who?');
          return next();
        },
      ],
    },
  );
  const client = world.http2Client(port);
  await client.call(METHOD, MESSAGE);
  t.match(await outcome(), { method: METHOD, failure: { reason: 'no_route' } });
  await client.call('/nonsense', MESSAGE);
  t.match(await outcome(), { failure: { reason: 'no_route', error: { code: Code.UNIMPLEMENTED } } });
  await client.call(METHOD, MESSAGE, { 'grpc-timeout': 'soon' });
  t.match(await outcome(), { failure: { reason: 'rejected', error: { code: Code.INTERNAL } } });
});

behaviour(
  'an interceptor that ends a call is its reason; a failure that it lets through keeps its own',
  async (t, world) => {
    const failing = await world.http2Backend(({ stream }) => respond(stream, ANSWER, { 'grpc-status': '9' }));
    const conn = world.dial(failing.port);
    let replace = false;
    const { port, outcome } = await observed(world, () => ({ primary: { conn } }), {
      interceptors: [
        async (_stream, next) => {
          try {
            await next();
          } catch (error) {
            throw replace ? new StatusError(Code.ABORTED, 'another') : error;
          }
        },
      ],
    });
    const client = world.http2Client(port);
    await client.call(METHOD, MESSAGE);
    t.match(await outcome(), { failure: { reason: 'backend_status', error: { code: 9 } } });
    replace = true;
    await client.call(METHOD, MESSAGE);
    t.match(await outcome(), { failure: { reason: 'interceptor', error: { code: Code.ABORTED } } });
  },
);

behaviour('the observer hears of requests that were refused before they became calls', async (t, world) => {
  const refused: RefusedRequest[] = [];
  const { port } = await world.proxy(
    () => {
      throw new Error('unreachable');
    },
    { observer: { onRefused: (request) => refused.push(request) } },
  );
  const client = world.http2Client(port);
  await client.call('/a', MESSAGE, { 'content-type': 'text/plain' });
  await client.call('/b', Buffer.alloc(0), { ':method': 'PUT' });
  t.match(refused, [
    { httpStatus: 415, httpMethod: 'POST', path: '/a', peer: /^127\.0\.0\.1:\d+$/ },
    { httpStatus: 405, httpMethod: 'PUT', path: '/b' },
  ]);
});

behaviour('an observer that throws breaks nothing', async (t, world) => {
  const ok = await world.http2Backend(({ stream }) => respond(stream, ANSWER));
  const conn = world.dial(ok.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    observer: {
      onCall: () => {
        throw new Error('broken observer');
      },
    },
  });
  const warning = new Promise<Error>((resolve) => process.once('warning', resolve));
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.ok(response.trailers);
  t.equal((await warning).message, 'broken observer');
});

behaviour("every hook runs in its own call's async context", async (t, world) => {
  const storage = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const wrong: string[] = [];
  const note = (id: string, hook: string): void => {
    seen.push(hook);
    if (storage.getStore() !== id) wrong.push(`${hook} of ${id} saw ${storage.getStore()}`);
  };
  const ok = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, ANSWER);
  });
  const failing = await world.http2Backend(({ stream }) => respond(stream, ANSWER, { 'grpc-status': '9' }));
  const [primary, secondary] = [world.dial(ok.port), world.dial(failing.port)];
  const { port } = await world.proxy(
    (ctx) => {
      const id = String(ctx.metadata.get('x-id'));
      note(id, 'director');
      return {
        primary: {
          conn: primary,
          observer: {
            onHeaders: () => note(id, 'onHeaders'),
            onMessage: () => note(id, 'onMessage'),
            onStatus: () => note(id, 'onStatus'),
          },
        },
        secondaries: [
          {
            conn: secondary,
            errHandler: () => {
              note(id, 'errHandler');
              return null;
            },
          },
        ],
        requestFinalizer: () => note(id, 'requestFinalizer'),
        callOptions: { onFinish: () => note(id, 'onFinish') },
      };
    },
    {
      interceptors: [(stream, next) => storage.run(String(stream.context.metadata.get('x-id')), next)],
      observer: { onCall: ({ context }) => note(String(context.metadata.get('x-id')), 'onCall') },
    },
  );
  const client = world.http2Client(port);
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => client.call(METHOD, MESSAGE, { 'x-id': String(i) })),
  );
  t.strictSame(wrong, []);
  t.equal(new Set(seen).size, 8);
});
