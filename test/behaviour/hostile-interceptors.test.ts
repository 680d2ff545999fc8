import { constants } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Test } from 'tap';
import {
  Code,
  InvalidPeekCountError,
  StatusError,
  type StreamDirector,
  type StreamInterceptor,
  type StreamPeeker,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { type BidiCall, echo, failWith } from '../support/grpc-backend.js';
import type { CallResult } from '../support/grpc-client.js';
import { ProcessEvents } from '../support/process-events.js';
import { within } from '../support/within.js';

// Whatever interceptors do with next(), and directors with the peeker, calls end and errors are not lost.

const ECHO = '/test.Service/Echo';
const FAIL = '/test.Service/Fail';

interface Intercepted {
  readonly events: ProcessEvents;
  readonly directed: { count: number };
  call(method?: string): Promise<CallResult>;
}

async function setUp(t: Test, world: World, ...interceptors: StreamInterceptor[]): Promise<Intercepted> {
  const events = new ProcessEvents(t);
  // Not at once, so that the interceptor is done before.
  const slowly = (answer: (call: BidiCall) => void) => (call: BidiCall) => setImmediate(answer, call);
  const backend = await world.grpcBackend({
    [ECHO]: slowly(echo),
    [FAIL]: slowly(failWith(status.ABORTED, 'the backend’s own')),
  });
  const conn = world.dial(backend.port);
  const directed = { count: 0 };
  const director: StreamDirector = () => {
    directed.count++;
    return { primary: { conn } };
  };
  const proxy = await world.proxy(director, { interceptors });
  const client = world.grpcClient(proxy.port);
  return {
    events,
    directed,
    async call(method = ECHO) {
      const result = await within(2000, 'the call', client.call(method, ['hi']));
      await events.settled();
      t.strictSame(events.fatal, [], 'nothing that ends a process');
      return result;
    },
  };
}

behaviour('an interceptor that never calls next() answers in the place of the handler', async (t, world) => {
  const { call, directed } = await setUp(t, world, () => {});
  const { code, messages } = await call();
  t.equal(code, status.OK);
  t.strictSame(messages, []);
  t.equal(directed.count, 0);
});

behaviour('an interceptor that does not wait for next() does not end the call', async (t, world) => {
  const careless: StreamInterceptor = (_stream, next) => {
    next();
  };
  for (const interceptors of [[careless], [careless, careless, careless]]) {
    const { call } = await setUp(t, world, ...interceptors);
    const ok = await call();
    t.strictSame([ok.code, ok.messages.join()], [status.OK, 'hi']);
    const failed = await call(FAIL);
    t.strictSame([failed.code, failed.details], [status.ABORTED, 'the backend’s own']);
  }
});

behaviour('an interceptor may swallow or change the error that next() brings', async (t, world) => {
  const swallow: StreamInterceptor = async (_stream, next) => next().catch(() => {});
  t.equal((await (await setUp(t, world, swallow)).call(FAIL)).code, status.OK);
  const change: StreamInterceptor = async (_stream, next) =>
    next().catch((error: StatusError) => {
      throw new StatusError(Code.DATA_LOSS, `it was: ${error.message}`);
    });
  const changed = await (await setUp(t, world, change)).call(FAIL);
  t.strictSame([changed.code, changed.details], [status.DATA_LOSS, 'it was: the backend’s own']);
});

behaviour('next() called twice runs the handler once', async (t, world) => {
  const error = 'next() has been called already: a call is handled once';
  const careless: StreamInterceptor = (_stream, next) => {
    next();
    next();
  };
  const { call, directed, events } = await setUp(t, world, careless);
  t.equal((await call()).messages.join(), 'hi');
  t.equal(directed.count, 1);
  t.strictSame(events.warnings, [error]);
  t.equal((await call(FAIL)).details, 'the backend’s own');

  const careful = await setUp(t, world, async (_stream, next) => {
    await next();
    await next();
  });
  const { code, details } = await careful.call();
  t.strictSame([code, details], [status.UNKNOWN, error]);
  t.equal(careful.directed.count, 1);
});

behaviour('next() after the interceptor has ended the call does nothing', async (t, world) => {
  let late: (() => Promise<void>) | undefined;
  const { call, directed, events } = await setUp(t, world, (_stream, next) => {
    late = next;
  });
  t.equal((await call()).code, status.OK);
  const error = 'next() after the interceptor has ended the call';
  await t.rejects(late!(), { message: error });
  await events.settled();
  t.strictSame(events.warnings, [error]);
  t.equal(directed.count, 0);
});

behaviour('an interceptor that throws anything ends the call with it', async (t, world) => {
  for (const [thrown, text] of [
    ['a string', 'a string'],
    [undefined, 'undefined'],
    [Object.create(null), 'unknown error'],
  ]) {
    const { call, directed } = await setUp(t, world, () => {
      throw thrown;
    });
    const { code, details } = await call();
    t.strictSame([code, details], [status.UNKNOWN, text]);
    t.equal(directed.count, 0);
  }
});

behaviour('an interceptor that gives up on a running call cancels its destinations', async (t, world) => {
  const events = new ProcessEvents(t);
  const arrived = new Countdown(2);
  const cancelled = new Countdown(2);
  const backend = await world.http2Backend(({ stream }) => {
    arrived.tick();
    stream.on('close', () => {
      if (stream.rstCode === constants.NGHTTP2_CANCEL) cancelled.tick();
    });
  });
  const conn = world.dial(backend.port);
  const finalized: (string | undefined)[] = [];
  const reasons: unknown[] = [];
  const proxy = await world.proxy(
    (ctx) => {
      ctx.signal.addEventListener('abort', () => reasons.push(ctx.signal.reason.message));
      return {
        primary: { conn },
        secondaries: [{ conn }],
        requestFinalizer: (error) => {
          finalized.push(error?.message);
        },
      };
    },
    {
      interceptors: [
        async (_stream, next) => {
          const giveUp = arrived.done.then(() => {
            throw new StatusError(Code.UNAVAILABLE, 'too slow');
          });
          await Promise.race([next(), giveUp]);
        },
      ],
    },
  );
  const result = await within(2000, 'the call', world.grpcClient(proxy.port).call(ECHO, ['hi']));
  t.strictSame([result.code, result.details], [status.UNAVAILABLE, 'too slow']);
  await within(2000, 'two cancels', cancelled.done);
  t.strictSame(finalized, ['too slow']);
  t.strictSame(reasons, ['too slow']);
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour('an interceptor that gives up on a local handler ends its messages', async (t, world) => {
  const events = new ProcessEvents(t);
  let handlerError: unknown;
  const handled = new Countdown(1);
  const proxy = await world.serve({
    interceptors: [
      async (_stream, next) => {
        await Promise.race([next(), turn().then(() => Promise.reject(new Error('too slow')))]);
      },
    ],
    unknownServiceHandler: async (stream) => {
      try {
        for await (const message of stream) await stream.sendMessage(message);
      } catch (error) {
        handlerError = error;
        throw error;
      } finally {
        handled.tick();
      }
    },
  });
  const call = world.grpcClient(proxy.port).open(ECHO);
  const error = await within(2000, 'the call', new Promise<Error>((resolve) => call.on('error', resolve)));
  t.match(error.message, /too slow/);
  await within(2000, 'the handler', handled.done);
  t.match(handlerError, { message: 'too slow' });
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour('a handler that returns nonsense ends the call like one that returns nothing', async (t, world) => {
  for (const nonsense of [7, null, 'text', {}]) {
    const proxy = await world.serve({ unknownServiceHandler: () => nonsense as unknown as undefined });
    const result = await within(2000, 'the call', world.grpcClient(proxy.port).call(ECHO, ['hi']));
    t.equal(result.code, status.OK);
  }
});

behaviour('a director that does not wait for its peek, or peeks late, does no harm', async (t, world) => {
  const events = new ProcessEvents(t);
  const backend = await world.grpcBackend({ [ECHO]: echo });
  const conn = world.dial(backend.port);
  const pending: Promise<unknown>[] = [];
  let late: StreamPeeker | undefined;
  const proxy = await world.proxy((_ctx, _method, peeker) => {
    void peeker.peek(0);
    void peeker.peek(3);
    pending.push(peeker.peek(3));
    late = peeker;
    return { primary: { conn } };
  });
  const call = world.grpcClient(proxy.port).open(ECHO);
  const answers: string[] = [];
  call.on('error', () => {});
  const next = () =>
    within(
      2000,
      'an answer',
      new Promise<void>((resolve) => call.once('data', (m) => resolve(void answers.push(`${m}`)))),
    );
  call.write(Buffer.from('one'));
  await next();
  await t.rejects(pending[0]!, { message: /^peek\(\) after the director has answered/ });
  await t.rejects(late!.peek(), { message: /^peek\(\) after the director has answered/ });
  await t.rejects(late!.peek(-1), InvalidPeekCountError);
  // It must not have stopped the stream, which is no longer the peeker's.
  call.write(Buffer.from('two'));
  await next();
  t.strictSame(answers, ['one', 'two']);
  call.cancel();
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour(
  'a peek that nobody waits for is rejected when the client disconnects, and ends nothing',
  async (t, world) => {
    const events = new ProcessEvents(t);
    const peeked: Promise<unknown>[] = [];
    const directed = new Countdown(1);
    const released = new Countdown(1);
    const proxy = await world.proxy(async (ctx, _method, peeker) => {
      peeked.push(peeker.peek(), peeker.peek(2));
      ctx.signal.addEventListener('abort', () => released.tick());
      directed.tick();
      await released.done;
      throw new Error('a director that gives up');
    });
    const client = world.http2Client(proxy.port);
    client.open(ECHO);
    await within(2000, 'the director', directed.done);
    // A reset by node:http2 would come with END_STREAM before it.
    client.destroy();
    await within(2000, 'the abort', released.done);
    for (const each of peeked) await t.rejects(each, { code: Code.CANCELLED });
    await events.settled();
    t.strictSame(events.fatal, []);
  },
);
