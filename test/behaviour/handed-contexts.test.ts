import {
  type CallContext,
  type CallOutcome,
  Code,
  ContextKey,
  Metadata,
  type ServerStream,
  type StreamInterceptor,
} from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { respond } from '../support/http2-backend.js';
import { ProcessEvents } from '../support/process-events.js';
import { MESSAGE, METHOD, message, ok, status } from '../support/unary.js';

// What an interceptor hands on by `next(context)`.

const USER = new ContextKey<string>('user');

behaviour('what an interceptor hands on reaches everything further inside', async (t, world) => {
  const seen: unknown[] = [];
  const note = (who: string, ctx: CallContext): void => {
    seen.push([who, ctx.value(USER), ctx.metadata.get('x-user'), ctx.method]);
  };
  const requests: unknown[] = [];
  const backend = await world.http2Backend(({ stream, headers }) => {
    const timeout = Number.parseInt(String(headers['grpc-timeout']), 10);
    requests.push([headers['x-user'], headers['x-token'], headers[':path'], timeout > 0]);
    respond(stream, MESSAGE);
  });
  const conn = world.dial(backend.port);
  const outcomes: CallOutcome[] = [];
  const { port } = await world.proxy(
    (ctx) => {
      note('director', ctx);
      return {
        primary: { conn },
        callOptions: {
          credentials: (ctx) => {
            note('credentials', ctx);
            return new Metadata({ 'x-token': 'secret' });
          },
        },
      };
    },
    {
      interceptors: [
        async (stream, next) => {
          note('before', stream.context);
          await next(
            stream.context
              .withValue(USER, 'anna')
              .withMetadata(new Metadata({ 'x-user': 'Anna' }))
              .withMethod('/test.Service/Other')
              .withTimeout(60_000),
          );
          note('after', stream.context);
        },
        async (stream, next) => {
          note('inside', stream.context);
          await next();
        },
      ],
      observer: { onCall: (outcome) => void outcomes.push(outcome) },
    },
  );
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(status(response), '0');
  const handed = ['anna', 'Anna', '/test.Service/Other'];
  t.strictSame(seen, [
    ['before', undefined, undefined, METHOD],
    ['inside', ...handed],
    ['director', ...handed],
    ['credentials', ...handed],
    ['after', ...handed],
  ]);
  t.strictSame(requests, [['Anna', 'secret', '/test.Service/Other', true]]);
  await eventually('told', () => outcomes.length === 1);
  note('outcome', outcomes[0]!.context);
  t.strictSame(seen.at(-1), ['outcome', ...handed]);
  t.equal(outcomes[0]?.method, '/test.Service/Other');
});

behaviour('a deadline and a signal that are handed on end the call, and its backend', async (t, world) => {
  const resets: number[] = [];
  const controller = new AbortController();
  const backend = await world.http2Backend(({ stream }) => {
    stream.on('close', () => resets.push(stream.rstCode));
    controller.abort();
  });
  const conn = world.dial(backend.port);
  const cases: readonly (readonly [(ctx: CallContext) => CallContext, Code, string])[] = [
    [(ctx) => ctx.withSignal(controller.signal), Code.CANCELLED, 'interceptor'],
    [(ctx) => ctx.withTimeout(40), Code.DEADLINE_EXCEEDED, 'deadline'],
  ];
  for (const [derive, code, reason] of cases) {
    const outcomes: CallOutcome[] = [];
    const { port } = await world.proxy(() => ({ primary: { conn } }), {
      interceptors: [(stream, next) => next(derive(stream.context))],
      observer: { onCall: (outcome) => void outcomes.push(outcome) },
    });
    const response = await world.http2Client(port).call(METHOD, MESSAGE);
    t.equal(status(response), String(code));
    await eventually('told', () => outcomes.length === 1);
    t.equal(outcomes[0]?.failure?.reason, reason);
  }
  await eventually('both are reset', () => resets.length === 2);
  t.strictSame(resets, [8, 8], 'CANCEL');
});

behaviour('a deadline that is set while the director thinks ends the call, too', async (t, world) => {
  const answer = deferred();
  const backend = await world.http2Backend(() => t.fail('there is no time for it'));
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(
    async () => {
      await answer.promise;
      return { primary: { conn } };
    },
    {
      interceptors: [
        async (stream, next) => {
          const handled = next();
          stream.context = stream.context.withTimeout(40);
          await handled;
        },
      ],
    },
  );
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(status(response), String(Code.DEADLINE_EXCEEDED));
  answer.resolve();
});

behaviour(
  "what is no context of the call's own fails it, and nothing further inside runs",
  async (t, world) => {
    const events = new ProcessEvents(t);
    const ran: string[] = [];
    const others: ServerStream[] = [];
    let intercept: StreamInterceptor = async (stream, next) => {
      others.push(stream);
      await next();
    };
    const { port } = await world.serve({
      interceptors: [
        (stream, next) => intercept(stream, next),
        async (_stream, next) => {
          ran.push('inner');
          await next();
        },
      ],
      unknownServiceHandler: () => void ran.push('handler'),
    });
    const client = world.http2Client(port);
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.strictSame(ran.splice(0), ['inner', 'handler']);
    const another = others[0]!.context.withValue(USER, 'of another call');
    for (const context of [another, null, {}, 'text', Object.create(another)]) {
      for (const isAwaited of [true, false]) {
        intercept = async (_stream, next) => {
          const handled = next(context as CallContext);
          if (isAwaited) await handled;
        };
        const response = await client.call(METHOD, MESSAGE);
        t.equal(status(response), String(Code.UNKNOWN));
        t.match(message(response), "a call's context must be a CallContext of its own");
      }
      intercept = async (stream, next) => {
        stream.context = context as CallContext;
        await next();
      };
      t.equal(status(await client.call(METHOD, MESSAGE)), String(Code.UNKNOWN));
    }
    t.strictSame(ran, []);
    await events.settled();
    t.strictSame(events.fatal, []);
  },
);

behaviour('a second next() hands no context on', async (t, world) => {
  const events = new ProcessEvents(t);
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  const values = deferred<unknown>();
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    interceptors: [
      async (stream, next) => {
        await next(stream.context.withValue(USER, 'first'));
        await t.rejects(next(stream.context.withValue(USER, 'second')), {
          message: /next\(\) has been called/,
        });
        values.resolve(stream.context.value(USER));
      },
    ],
  });
  t.equal(status(await world.http2Client(port).call(METHOD, MESSAGE)), '0');
  t.equal(await values.promise, 'first');
  t.equal(events.warnings.length, 1);
});
