import * as grpc from '@grpc/grpc-js';
import {
  Code,
  incomingToOutgoing,
  Metadata,
  type ServerStream,
  StatusError,
  type StreamInterceptor,
} from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { type BidiCall, echo, failWith } from '../support/grpc-backend.js';
import { fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Echo/Bidi';

behaviour('interceptors run in order around the handler', async (t, world) => {
  const order: string[] = [];
  const named =
    (name: string): StreamInterceptor =>
    async (_stream, next) => {
      order.push(`${name} in`);
      await next();
      order.push(`${name} out`);
    };
  const { port } = await world.serve({
    unknownServiceHandler: async () => {
      order.push('handler in');
      await new Promise(setImmediate);
      order.push('handler out');
    },
    interceptors: [named('first'), named('second'), named('third')],
  });
  t.equal((await world.grpcClient(port).call(METHOD, ['hello'])).code, Code.OK);
  t.same(order, [
    'first in',
    'second in',
    'third in',
    'handler in',
    'handler out',
    'third out',
    'second out',
    'first out',
  ]);
});

behaviour('interceptors run before the director, and see the outcome of the backend', async (t, world) => {
  const order: string[] = [];
  const backend = await world.grpcBackend({ [METHOD]: failWith(9, 'not now') });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(
    () => {
      order.push('director');
      return { primary: { conn } };
    },
    {
      interceptors: [
        async (stream, next) => {
          order.push(`in ${stream.method}`);
          try {
            await next();
          } catch (error) {
            order.push(`${(error as StatusError).code} ${(error as StatusError).message}`);
            throw error;
          }
        },
      ],
    },
  );
  const { code, details } = await world.grpcClient(port).call(METHOD, ['hello']);
  t.equal(code, Code.FAILED_PRECONDITION);
  t.equal(details, 'not now');
  t.same(order, [`in ${METHOD}`, 'director', '9 not now']);
});

const refusals: Record<string, StreamInterceptor> = {
  'throws at once': () => {
    throw new StatusError(Code.UNAUTHENTICATED, 'who are you?', new Metadata({ 'x-realm': 'test' }));
  },
  'rejects later': async () => {
    await new Promise(setImmediate);
    throw new StatusError(Code.UNAUTHENTICATED, 'who are you?', new Metadata({ 'x-realm': 'test' }));
  },
};
for (const [name, refuse] of Object.entries(refusals)) {
  behaviour(`an interceptor that ${name} ends the call, and the director never runs`, async (t, world) => {
    const ran: string[] = [];
    const backend = await world.grpcBackend({ [METHOD]: echo });
    const conn = world.dial(backend.port);
    const { port } = await world.proxy(
      () => {
        ran.push('director');
        return { primary: { conn } };
      },
      {
        interceptors: [
          async (_stream, next) => {
            try {
              await next();
            } catch (error) {
              ran.push(`outer sees ${(error as StatusError).code}`);
              throw error;
            }
          },
          refuse,
          async (_stream, next) => {
            ran.push('inner');
            await next();
          },
        ],
      },
    );
    const { code, details, trailers, headers } = await world.grpcClient(port).call(METHOD, ['hello']);
    t.equal(code, Code.UNAUTHENTICATED);
    t.equal(details, 'who are you?');
    t.same(trailers.get('x-realm'), ['test']);
    t.equal(headers?.get('x-realm').length ?? 0, 0, 'Trailers-Only');
    t.same(ran, ['outer sees 16']);
  });
}

behaviour('what an interceptor throws that is no StatusError is UNKNOWN', async (t, world) => {
  const { port } = await world.serve({
    unknownServiceHandler: () => {},
    interceptors: [
      () => {
        throw new TypeError('a bug');
      },
    ],
  });
  const { code, details } = await world.grpcClient(port).call(METHOD, []);
  t.equal(code, Code.UNKNOWN);
  t.equal(details, 'a bug');
});

behaviour('an interceptor can turn an error into success, and success into an error', async (t, world) => {
  const backend = await world.grpcBackend({
    '/test.Echo/Fails': failWith(9, 'not now'),
    '/test.Echo/Bidi': echo,
  });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    interceptors: [
      async (stream, next) => {
        if (stream.method === '/test.Echo/Fails') {
          await next().catch(() => {});
        } else {
          await next();
          throw new StatusError(Code.DATA_LOSS, 'audit failed');
        }
      },
    ],
  });
  const client = world.grpcClient(port);
  t.equal((await client.call('/test.Echo/Fails', ['hello'])).code, Code.OK);
  const { code, details, messages } = await client.call('/test.Echo/Bidi', ['hello']);
  t.equal(code, Code.DATA_LOSS);
  t.equal(details, 'audit failed');
  t.same(messages, [Buffer.from('hello')], 'the messages had gone through before');
});

behaviour(
  'the context that an interceptor puts in place is what director and destination get',
  async (t, world) => {
    const seen: unknown[] = [];
    const backend = await world.grpcBackend({
      [METHOD]: (call: BidiCall) => {
        seen.push(call.metadata.getMap());
        echo(call);
      },
    });
    const conn = world.dial(backend.port);
    const { port } = await world.proxy(
      (ctx) => {
        seen.push(Object.fromEntries(ctx.metadata));
        return { primary: { conn } };
      },
      {
        interceptors: [
          async (stream, next) => {
            const context = incomingToOutgoing(stream.context);
            context.metadata.delete('authorization');
            context.metadata.set('x-user', 'anna');
            stream.context = context;
            await next();
          },
        ],
      },
    );
    const metadata = new grpc.Metadata();
    metadata.set('authorization', 'Bearer secret');
    metadata.set('x-tenant', 'blue');
    const { code } = await world.grpcClient(port).call(METHOD, ['hello'], metadata);
    t.equal(code, Code.OK);
    t.equal(seen.length, 2);
    for (const fields of seen) {
      t.match(fields, { 'x-user': 'anna', 'x-tenant': 'blue' });
      t.notOk(Object.hasOwn(fields as object, 'authorization'), 'what was deleted is gone');
    }
  },
);

behaviour('a call that is cancelled while an interceptor thinks reaches no director', async (t, world) => {
  let directed = 0;
  let backendCalls = 0;
  const backend = await world.http2Backend(() => {
    backendCalls++;
  });
  const conn = world.dial(backend.port);
  const thinking = deferred<ServerStream>();
  const settled = deferred<unknown>();
  const { port } = await world.proxy(
    () => {
      directed++;
      return { primary: { conn } };
    },
    {
      interceptors: [
        async (stream, next) => {
          thinking.resolve(stream);
          await new Promise((resolve) => stream.context.signal.addEventListener('abort', resolve));
          await next().catch((error) => {
            settled.resolve(error);
            throw error;
          });
        },
      ],
    },
  );
  const call = world.grpcClient(port).open(METHOD);
  call.on('error', () => {});
  await thinking.promise;
  call.cancel();
  t.match(await settled.promise, { code: Code.CANCELLED });
  t.equal(directed, 0, 'the director was not asked');
  t.equal(backendCalls, 0, 'no backend was contacted');
});

behaviour('a call whose deadline passes while an interceptor thinks runs no handler', async (t, world) => {
  let handled = 0;
  const settled = deferred<unknown>();
  const { port } = await world.serve({
    unknownServiceHandler: () => void handled++,
    interceptors: [
      async (stream, next) => {
        await new Promise((resolve) => stream.context.signal.addEventListener('abort', resolve));
        await next().then(settled.resolve, settled.resolve);
      },
    ],
  });
  // Not a gRPC client, which would cancel at its own deadline.
  const { headers } = await world.http2Client(port).call(METHOD, Buffer.alloc(0), { 'grpc-timeout': '50m' });
  t.equal(fieldValue(headers, 'grpc-status'), String(Code.DEADLINE_EXCEEDED));
  t.match(await settled.promise, { code: Code.DEADLINE_EXCEEDED });
  t.equal(handled, 0);
});

behaviour('an interceptor that gives up on a running call frees the backend', async (t, world) => {
  const reset = deferred<number>();
  const running = deferred();
  const backend = await world.http2Backend(({ stream }) => {
    stream.on('close', () => reset.resolve(stream.rstCode));
    running.resolve();
  });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    interceptors: [
      async (_stream, next) => {
        await Promise.race([next(), running.promise]);
        throw new StatusError(Code.ABORTED, 'enough');
      },
    ],
  });
  const { code, details } = await world.grpcClient(port).call(METHOD, ['hello']);
  t.equal(code, Code.ABORTED);
  t.equal(details, 'enough');
  t.equal(await reset.promise, 8, 'CANCEL');
});

behaviour('an interceptor that gives up on a local handler ends its iteration', async (t, world) => {
  const iteration = deferred<unknown>();
  const { port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      try {
        for await (const _message of stream);
        iteration.resolve('no error');
      } catch (error) {
        iteration.resolve(error);
      }
    },
    interceptors: [
      async (_stream, next) => {
        await Promise.race([next(), new Promise(setImmediate)]);
        throw new StatusError(Code.ABORTED, 'enough');
      },
    ],
  });
  const call = world.grpcClient(port).open(METHOD);
  const code = await new Promise((resolve) => {
    call.on('error', (error) => resolve(Reflect.get(error, 'code')));
  });
  t.equal(code, Code.ABORTED);
  t.match(await iteration.promise, { code: Code.ABORTED, message: 'enough' });
});

behaviour('interceptors see a client that cancels as CANCELLED', async (t, world) => {
  const settled = deferred<unknown>();
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    interceptors: [
      async (_stream, next) => {
        await next().then(settled.resolve, settled.resolve);
      },
    ],
  });
  const call = world.grpcClient(port).open(METHOD);
  call.on('error', () => {});
  call.write(Buffer.from('hello'));
  await new Promise((resolve) => call.once('data', resolve));
  call.cancel();
  const error = await settled.promise;
  t.ok(error instanceof StatusError);
  t.match(error, { code: Code.CANCELLED, message: /cancelled/ });
});
