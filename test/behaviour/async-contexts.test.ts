import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { healthService } from '../../lib/admin/health-service.js';
import { adminServer, processSource } from '../../lib/admin/index.js';
import { encodeHealthCheckRequest } from '../../lib/grpc/health.js';
import {
  type CallObserver,
  encodeMessage,
  handleStream,
  Metadata,
  type StreamDirector,
  type StreamInterceptor,
  type StreamParameters,
} from '../../lib/index.js';
import { metrics } from '../../lib/observe/metrics/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { echo } from '../support/grpc-backend.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse } from '../support/http2-client.js';
import { MESSAGE, METHOD } from '../support/unary.js';

// In which AsyncLocalStorage store the application's hooks run: that of their own call, or none.

const CALLS = 24;
const PART = encodeMessage(Buffer.alloc(40_000, 'part'));
const ZIPPED = encodeMessage(gzipSync('zipped'), true);

/** What hooks have seen. */
class Stores {
  readonly storage = new AsyncLocalStorage<string>();
  readonly seen = new Set<string>();
  readonly wrong: string[] = [];

  /** In its own call's store; a call that is given up may have ended before it had one. */
  own(id: string, hook: string): void {
    if (isGivenUp(Number(id))) {
      this.ownOrNone(id, hook);
      return;
    }
    this.seen.add(hook);
    const store = this.storage.getStore();
    if (store !== id) this.wrong.push(`${hook} of ${id} saw ${store}`);
  }

  /** In its own call's, or none. */
  ownOrNone(id: string, hook: string): void {
    this.seen.add(hook);
    const store = this.storage.getStore();
    if (store !== undefined && store !== id) this.wrong.push(`${hook} of ${id} saw ${store}`);
  }
}

function isGivenUp(call: number): boolean {
  return call % 8 === 7;
}

/** Backends of which one has room for few calls, so that each end of a call lets another begin. */
async function backends(world: World) {
  const narrow = await world.http2Backend(
    async ({ stream, body }) => {
      await body();
      if (!stream.destroyed) respond(stream, PART);
    },
    { settings: { maxConcurrentStreams: 2 } },
  );
  const failing = await world.http2Backend(({ stream }) => respond(stream, MESSAGE, { 'grpc-status': '9' }));
  return {
    primary: world.dial(narrow.port, { limits: { maxConnections: 1 } }),
    failing: world.dial(failing.port),
  };
}

/** Sends calls that take turns on one connection, chunk by chunk. */
async function interleave(world: World, port: number, path = METHOD): Promise<void> {
  const client = world.http2Client(port);
  const calls = Array.from({ length: CALLS }, (_, i) => {
    const stream = client.open(path, { 'x-id': String(i), 'grpc-encoding': 'gzip' });
    return { stream, response: collectResponse(stream) };
  });
  for (const chunk of [ZIPPED, PART.subarray(0, 9), PART.subarray(9)]) {
    for (const { stream } of calls) stream.write(chunk);
    await turn();
  }
  for (const [i, { stream }] of calls.entries()) {
    if (isGivenUp(i)) stream.close(8);
    else stream.end();
  }
  await Promise.all(calls.map(({ response }) => response));
}

/** Everything that a director may give, each noting what it sees. */
function hooksOf(
  { primary, failing }: Awaited<ReturnType<typeof backends>>,
  note: (hook: string) => void,
): StreamParameters {
  const observer = (who: string) => ({
    onHeaders: () => note(`onHeaders of ${who}`),
    onMessage: () => note(`onMessage of ${who}`),
    onStatus: () => note(`onStatus of ${who}`),
  });
  const errHandler = (who: string) => async () => {
    note(`errHandler of ${who}`);
    await turn();
    note(`errHandler of ${who}, later`);
    return null;
  };
  return {
    primary: { conn: primary, observer: observer('primary') },
    secondaries: [{ conn: failing, observer: observer('secondary'), errHandler: errHandler('secondary') }],
    shadows: [{ conn: failing, observer: observer('shadow'), errHandler: errHandler('shadow') }],
    requestFinalizer: async () => {
      note('requestFinalizer');
      await turn();
      note('requestFinalizer, later');
    },
    requestObserver: { onMessage: () => note('onMessage'), onEnd: () => note('onEnd') },
    editResponseHeaders: () => note('editResponseHeaders'),
    editResponseTrailers: () => note('editResponseTrailers'),
    callOptions: {
      credentials: async () => {
        note('credentials');
        await turn();
        note('credentials, later');
        return new Metadata();
      },
      onHeaders: () => note('callOptions.onHeaders'),
      onTrailers: () => note('callOptions.onTrailers'),
      onFinish: () => note('callOptions.onFinish'),
    },
  };
}

/** An observer with a watcher of each call and destination. */
function observerOf(note: (id: string, hook: string) => void): CallObserver {
  return {
    onCallStarted: ({ context }) => {
      const id = String(context.metadata.get('x-id'));
      return {
        onDestination: () => {
          note(id, 'onDestination');
          return {
            editRequestMetadata: () => note(id, 'editRequestMetadata'),
            onAttempt: () => note(id, 'onAttempt'),
            onAttemptEnd: () => note(id, 'onAttemptEnd'),
            onEnd: () => note(id, 'onEnd of a destination'),
          };
        },
        onEnd: () => note(id, 'onEnd of a watcher'),
      };
    },
    onCall: ({ context }) => note(String(context.metadata.get('x-id')), 'onCall'),
    onShadow: ({ context }) => note(String(context.metadata.get('x-id')), 'onShadow'),
  };
}

/** All of those. */
const HOOKS = [
  ...['primary', 'secondary', 'shadow'].flatMap((who) => [
    `onHeaders of ${who}`,
    `onMessage of ${who}`,
    `onStatus of ${who}`,
  ]),
  ...['secondary', 'shadow'].flatMap((who) => [`errHandler of ${who}`, `errHandler of ${who}, later`]),
  ...['requestFinalizer', 'requestFinalizer, later', 'onMessage', 'onEnd'],
  ...['editResponseHeaders', 'editResponseTrailers', 'credentials', 'credentials, later'],
  ...['callOptions.onHeaders', 'callOptions.onTrailers', 'callOptions.onFinish'],
  ...['onDestination', 'editRequestMetadata', 'onAttempt', 'onAttemptEnd', 'onEnd of a destination'],
  ...['onEnd of a watcher', 'onCall', 'onShadow'],
];

behaviour('every hook runs in the store that the interceptors of its call have made', async (t, world) => {
  const stores = new Stores();
  const conns = await backends(world);
  const foreign: unknown[] = [];
  const direct: StreamDirector = async (ctx, _method, peeker) => {
    const id = String(ctx.metadata.get('x-id'));
    const note = (hook: string): void => stores.own(id, hook);
    note('director');
    await peeker.peek(1);
    note('director behind a peek');
    await peeker.peek(2, { signal: ctx.signal });
    note('director behind another');
    return hooksOf(conns, note);
  };
  const { port, server } = await world.proxy(direct, {
    interceptors: [
      async (stream, next) => {
        if (stores.storage.getStore() !== undefined) foreign.push(stores.storage.getStore());
        const id = String(stream.context.metadata.get('x-id'));
        await stream.peek();
        if (stores.storage.getStore() !== undefined) foreign.push(stores.storage.getStore());
        await stores.storage.run(id, next).catch(() => {});
      },
    ],
    observer: observerOf((id, hook) => stores.own(id, hook)),
  });
  await interleave(world, port);
  await eventually('all have ended', () => server.runningCalls.length === 0);
  await eventually('all hooks have run', () => HOOKS.every((hook) => stores.seen.has(hook)));
  t.strictSame(stores.wrong, []);
  t.strictSame(foreign, []);
});

behaviour('without interceptors no hook runs in the store of another call', async (t, world) => {
  const stores = new Stores();
  const conns = await backends(world);
  const { port, server } = await world.proxy(
    (ctx, _method, peeker) => {
      const id = String(ctx.metadata.get('x-id'));
      stores.ownOrNone(id, 'director');
      return stores.storage.run(id, async () => {
        await peeker.peek(2);
        stores.own(id, 'director behind a peek');
        await peeker.peek(2);
        return hooksOf(conns, (hook) => stores.ownOrNone(id, hook));
      });
    },
    { observer: observerOf((id, hook) => stores.ownOrNone(id, hook)) },
  );
  await interleave(world, port);
  await eventually('all have ended', () => server.runningCalls.length === 0);
  await eventually('all hooks have run', () => HOOKS.every((hook) => stores.seen.has(hook)));
  t.strictSame(stores.wrong, []);
});

behaviour(
  'a handler that proxies, or answers, is in its own store, and so are its hooks',
  async (t, world) => {
    const stores = new Stores();
    const conns = await backends(world);
    const { port, server } = await world.serve(
      { observer: observerOf((id, hook) => stores.ownOrNone(id, hook)) },
      (server) => {
        server.register('test.Handled', {
          Proxied: (stream) => {
            const id = String(stream.context.metadata.get('x-id'));
            stores.ownOrNone(id, 'handler');
            return stores.storage.run(id, async () => {
              await stream.peek();
              stores.own(id, 'handler behind a peek');
              await handleStream(
                stream,
                METHOD,
                hooksOf(conns, (hook) => stores.own(id, hook)),
              );
              stores.own(id, 'handler behind handleStream');
            });
          },
          Plain: (stream) => {
            const id = String(stream.context.metadata.get('x-id'));
            return stores.storage.run(id, async () => {
              await handleStream(stream, METHOD, { primary: { conn: conns.primary } });
              stores.own(id, 'handler behind handleStream');
            });
          },
          Answered: (stream) => {
            const id = String(stream.context.metadata.get('x-id'));
            return stores.storage.run(id, async () => {
              for await (const message of stream) {
                stores.own(id, 'handler with a message');
                await stream.sendMessage(message);
                stores.own(id, 'handler behind a message');
              }
            });
          },
        });
      },
    );
    await interleave(world, port, '/test.Handled/Proxied');
    await interleave(world, port, '/test.Handled/Plain');
    await interleave(world, port, '/test.Handled/Answered');
    await eventually('all have ended', () => server.runningCalls.length === 0);
    await eventually('all hooks have run', () => HOOKS.every((hook) => stores.seen.has(hook)));
    t.strictSame(stores.wrong, []);
  },
);

behaviour('what an interceptor enters is not another call’s', async (t, world) => {
  const stores = new Stores();
  const conns = await backends(world);
  const foreign: unknown[] = [];
  const enter: StreamInterceptor = (stream, next) => {
    const store = stores.storage.getStore();
    if (store !== undefined) foreign.push(store);
    stores.storage.enterWith(String(stream.context.metadata.get('x-id')));
    return next();
  };
  const { port, server } = await world.proxy(
    (ctx) => {
      const id = String(ctx.metadata.get('x-id'));
      stores.own(id, 'director');
      return hooksOf(conns, (hook) => stores.own(id, hook));
    },
    { interceptors: [enter], observer: observerOf((id, hook) => stores.own(id, hook)) },
  );
  await interleave(world, port);
  await eventually('all have ended', () => server.runningCalls.length === 0);
  await eventually('all hooks have run', () => HOOKS.every((hook) => stores.seen.has(hook)));
  t.strictSame(foreign, []);
  t.strictSame(stores.wrong, []);
});

behaviour('observers are told in the store that a watcher runs the call in', async (t, world) => {
  const stores = new Stores();
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const conn = world.dial(backend.port);
  const { port, server } = await world.proxy(() => ({ primary: { conn } }), {
    observer: {
      ...observerOf((id, hook) => stores.own(id, hook)),
      onCallStarted: (call) => {
        const id = String(call.context.metadata.get('x-id'));
        const watcher = observerOf((id, hook) => stores.own(id, hook)).onCallStarted?.(call);
        return { ...watcher, run: (handle) => stores.storage.run(id, handle) };
      },
    },
  });
  await interleave(world, port);
  await eventually('all have ended', () => server.runningCalls.length === 0);
  t.strictSame(stores.wrong, []);
  t.ok(stores.seen.has('onCall'));
});

behaviour(
  'what an operator asks is in no call’s store, what a health check calls in its own',
  async (t, world) => {
    const stores = new Stores();
    const conns = await backends(world);
    const operators: string[] = [];
    const ask = (hook: string): void => void operators.push(`${hook}: ${stores.storage.getStore()}`);
    const { port, server } = await world.proxy(() => ({ primary: { conn: conns.primary } }), {
      interceptors: [(stream, next) => stores.storage.run(String(stream.context.metadata.get('x-id')), next)],
    });
    const measured = metrics(server, {
      backends: () => {
        ask('backends of metrics');
        return [];
      },
    });
    healthService(server, {
      onAnswered: () => stores.own('health', 'onAnswered'),
      forward: (stream) => stores.own(String(stream.context.metadata.get('x-id')), 'forward'),
    });
    await using admin = adminServer(
      processSource({
        server,
        ready: () => {
          ask('ready');
          return { ready: true };
        },
        backends: () => {
          ask('backends');
          return [];
        },
        metrics: () => {
          ask('metrics');
          return measured.text();
        },
      }),
    );
    const url = await admin.start();
    const running = interleave(world, port);
    for (const path of ['readyz', 'backends', 'metrics']) {
      const response = await fetch(new URL(path, url));
      t.equal(response.status, 200, path);
      await response.text();
    }
    await running;
    const client = world.http2Client(port);
    const check = (service: string, id: string) =>
      client.call('/grpc.health.v1.Health/Check', encodeMessage(encodeHealthCheckRequest(service)), {
        'x-id': id,
      });
    await check('', 'health');
    await check('forwarded', '1');
    t.strictSame([...stores.seen].sort(), ['forward', 'onAnswered']);
    t.strictSame(stores.wrong, []);
    t.strictSame(operators.sort(), [
      'backends of metrics: undefined',
      'backends: undefined',
      'metrics: undefined',
      'ready: undefined',
    ]);
  },
);
