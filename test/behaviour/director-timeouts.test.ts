import { Code, encodeMessage, type ProxyOptions, type StreamDirector } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse } from '../support/http2-client.js';
import { rejection } from '../support/peeking.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';

/** What nobody answers. */
const SILENT = '/test.Service/Silent';

async function directed(
  world: World,
  options: ProxyOptions,
  direct: (answer: StreamDirector) => StreamDirector,
) {
  const backend = await world.http2Backend(
    ({ stream, body }) => void body().then(() => respond(stream, MESSAGE)),
  );
  const conn = world.dial(backend.port);
  const reasons: (string | undefined)[] = [];
  const observer = {
    onCall: ({ failure }: { failure?: { reason: string } | undefined }) => void reasons.push(failure?.reason),
  };
  const { port } = await world.proxy(
    direct(() => ({ primary: { conn } })),
    { observer },
    options,
  );
  return { client: world.http2Client(port), backend, reasons };
}

behaviour(
  'a director that does not answer in time: DEADLINE_EXCEEDED, and its answer is of no use',
  async (t, world) => {
    const late = deferred();
    const aborted = deferred<unknown>();
    const { client, backend, reasons } = await directed(
      world,
      { directorTimeoutMilliseconds: 30 },
      (answer) => async (ctx, method, peeker) => {
        ctx.signal.addEventListener('abort', () => aborted.resolve(ctx.signal.reason));
        await late.promise;
        return answer(ctx, method, peeker);
      },
    );
    const response = await client.call(METHOD, MESSAGE);
    t.equal(status(response), String(Code.DEADLINE_EXCEEDED));
    t.match(message(response), /the director has not answered within 30 ms/);
    t.same(reasons, ['director']);
    late.resolve();
    await client.roundTrip();
    t.equal(backend.sessions.length, 0);
  },
);

behaviour('a director that answers in time is not cut, however long its call runs', async (t, world) => {
  const answered = deferred();
  const { client, reasons } = await directed(
    world,
    { directorTimeoutMilliseconds: 40 },
    (answer) => async (ctx, method, peeker) => {
      if (method === SILENT) await new Promise(() => {});
      await new Promise(setImmediate);
      answered.resolve();
      return answer(ctx, method, peeker);
    },
  );
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  await answered.promise;
  // The time is over for a director that was asked later.
  t.equal(status(await client.call(SILENT, MESSAGE)), String(Code.DEADLINE_EXCEEDED));
  stream.end(MESSAGE);
  t.equal(status(await response), '0');
  t.same(reasons, ['director', undefined]);
});

behaviour(
  'a peek that the client keeps waiting: DEADLINE_EXCEEDED to director and client',
  async (t, world) => {
    const rejected = deferred<unknown>();
    const { client, backend, reasons } = await directed(
      world,
      { peekTimeoutMilliseconds: 30 },
      () => async (_ctx, _method, peeker) => {
        const error = await rejection(peeker.peek());
        rejected.resolve(error);
        throw error;
      },
    );
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    stream.write(encodeMessage(Buffer.from('half of it')).subarray(0, 8));
    t.match(await rejected.promise, { code: Code.DEADLINE_EXCEEDED, message: /within 30 ms/ });
    t.equal(status(await response), String(Code.DEADLINE_EXCEEDED));
    t.same(reasons, ['deadline']);
    t.equal(backend.sessions.length, 0);
  },
);

behaviour('each peek has its time, and between them none passes', async (t, world) => {
  const [between, overdue, second] = [deferred(), deferred(), deferred()];
  const { client, reasons } = await directed(
    world,
    { peekTimeoutMilliseconds: 40 },
    (answer) => async (ctx, method, peeker) => {
      await peeker.peek();
      between.resolve();
      await overdue.promise;
      const peeked = peeker.peek(2);
      second.resolve();
      t.equal((await peeked).length, 2);
      return answer(ctx, method, peeker);
    },
  );
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  stream.write(MESSAGE);
  await between.promise;
  // The time is over for a peek that was begun later.
  t.equal(status(await collectResponse(client.open(SILENT))), String(Code.DEADLINE_EXCEEDED));
  overdue.resolve();
  await second.promise;
  stream.end(MESSAGE);
  t.equal(status(await response), '0');
  t.same(reasons, ['deadline', undefined]);
});
