import * as grpc from '@grpc/grpc-js';
import { Code, encodeMessage, Metadata, StatusError, type StreamDirector } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { echo } from '../support/grpc-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Echo/Bidi';

/** A backend that must not hear of the call. */
async function untouched(world: World) {
  const touched: string[] = [];
  const backend = await world.http2Backend(({ headers }) => void touched.push(String(headers[':path'])));
  return { conn: world.dial(backend.port), touched, sessions: backend.sessions };
}

behaviour(
  'the director is called once, before any body, with context, method and peeker',
  async (t, world) => {
    const backend = await world.grpcBackend({ [METHOD]: echo });
    const conn = world.dial(backend.port);
    const asked: Parameters<StreamDirector>[] = [];
    let called: () => void;
    const calling = new Promise<void>((resolve) => {
      called = resolve;
    });
    const { port } = await world.proxy((...values) => {
      asked.push(values);
      called();
      return { primary: { conn } };
    });
    const client = world.http2Client(port);
    const stream = client.open(METHOD, { 'x-tenant': 'blue', 'grpc-timeout': '20S' });
    const response = collectResponse(stream);
    // Not a byte of the body has been sent yet.
    await calling;
    for (let i = 0; i < 5; i++) stream.write(encodeMessage(Buffer.from(`message ${i}`)));
    stream.end();
    t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
    t.equal(asked.length, 1);
    const [ctx, method, peeker] = asked[0]!;
    t.equal(method, METHOD);
    t.equal(ctx.method, METHOD);
    t.equal(ctx.metadata.get('x-tenant'), 'blue');
    t.equal(ctx.authority, `127.0.0.1:${port}`);
    t.match(ctx.peer, /^127\.0\.0\.1:\d+$/);
    t.ok(ctx.deadline! > Date.now() && ctx.deadline! < Date.now() + 20_000);
    t.equal(ctx.signal.aborted, false);
    t.type(peeker.peek, 'function');
  },
);

const trailers = new Metadata({
  'x-reason': ['first', 'second'],
  'x-detail-bin': Uint8Array.of(0, 255, 128),
  'grpc-status-details-bin': Uint8Array.of(8, 7, 0),
});
const failures: Record<string, StreamDirector> = {
  'throws a StatusError': () => {
    throw new StatusError(Code.PERMISSION_DENIED, 'nein — 日本 100%\n', trailers);
  },
  'rejects with a StatusError at once': () =>
    Promise.reject(new StatusError(Code.PERMISSION_DENIED, 'nein — 日本 100%\n', trailers)),
  'rejects with a StatusError after a peek': async (_ctx, _method, peeker) => {
    await peeker.peek();
    throw new StatusError(Code.PERMISSION_DENIED, 'nein — 日本 100%\n', trailers);
  },
};
for (const [name, director] of Object.entries(failures)) {
  behaviour(`a director that ${name} ends the call with just that`, async (t, world) => {
    const { port } = await world.proxy(director);
    const result = await world.grpcClient(port).call(METHOD, ['hello']);
    t.equal(result.code, Code.PERMISSION_DENIED);
    t.equal(result.details, 'nein — 日本 100%\n');
    t.same(result.messages, []);
    t.same(result.trailers.get('x-reason').join(', '), 'first, second');
    t.same(result.trailers.get('x-detail-bin'), [Buffer.of(0, 255, 128)]);
    t.same(result.trailers.get('grpc-status-details-bin'), [Buffer.of(8, 7, 0)]);

    const raw = await world.http2Client(port).call(METHOD, encodeMessage(Buffer.from('hello')));
    t.equal(raw.trailersOnly, true);
    t.equal(fieldValue(raw.headers, ':status'), '200');
    t.equal(fieldValue(raw.headers, 'content-type'), 'application/grpc');
    t.equal(fieldValue(raw.headers, 'grpc-message'), 'nein %E2%80%94 %E6%97%A5%E6%9C%AC 100%25%0A');
  });
}

const bugs: Record<string, StreamDirector> = {
  'throws an Error': () => {
    throw new RangeError('a bug');
  },
  'rejects with an Error': async () => {
    throw new RangeError('a bug');
  },
  'throws a string': () => {
    throw 'a bug';
  },
};
for (const [name, director] of Object.entries(bugs)) {
  behaviour(`a director that ${name} ends the call with UNKNOWN and the message`, async (t, world) => {
    const { port } = await world.proxy(director);
    const { code, details } = await world.grpcClient(port).call(METHOD, ['hello']);
    t.equal(code, Code.UNKNOWN);
    t.equal(details, 'a bug');
  });
}

behaviour('an error of the director contacts no backend and runs no finalizer', async (t, world) => {
  const { conn, touched, sessions } = await untouched(world);
  let finalized = 0;
  const { port } = await world.proxy(() => {
    const parameters = { primary: { conn }, requestFinalizer: () => void finalized++ };
    if (parameters.primary.conn === conn) throw new StatusError(Code.NOT_FOUND, 'no such shard');
    return parameters;
  });
  const { code } = await world.grpcClient(port).call(METHOD, ['hello']);
  t.equal(code, Code.NOT_FOUND);
  t.equal(finalized, 0);
  t.same(touched, []);
  t.equal(sessions.length, 0, 'not even connected to');
});

behaviour('an error of the director ends a call whose client goes on sending', async (t, world) => {
  const { port } = await world.proxy(() => {
    throw new StatusError(Code.NOT_FOUND, 'no such shard');
  });
  const stream = world.http2Client(port).open(METHOD);
  const response = collectResponse(stream);
  // It does not half-close.
  stream.write(Buffer.alloc(1024 * 1024));
  const { headers, resetCode } = await response;
  t.equal(fieldValue(headers, 'grpc-status'), String(Code.NOT_FOUND));
  t.equal(resetCode, 0, 'RST_STREAM(NO_ERROR)');
});

behaviour(
  'a director without an answer ends the call with UNKNOWN instead of hanging it',
  async (t, world) => {
    const answers = [undefined, Promise.resolve(undefined), {}];
    const { port } = await world.proxy((() => answers.shift()) as unknown as StreamDirector);
    const client = world.grpcClient(port);
    while (answers.length > 0) {
      const { code, details } = await client.call(METHOD, ['hello']);
      t.equal(code, Code.UNKNOWN);
      t.equal(details, 'the director named no primary destination');
    }
  },
);

behaviour('a client that cancels while the director thinks aborts its signal', async (t, world) => {
  const { conn, sessions } = await untouched(world);
  const thinking = deferred();
  const finalized = deferred<unknown>();
  const { port } = await world.proxy(async ({ signal }) => {
    thinking.resolve();
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    return { primary: { conn }, requestFinalizer: (error) => finalized.resolve(error) };
  });
  const call = world.grpcClient(port).open(METHOD);
  call.on('error', () => {});
  await thinking.promise;
  call.cancel();
  t.match(
    await finalized.promise,
    { code: Code.CANCELLED },
    'the finalizer runs, for the director did answer',
  );
  t.equal(sessions.length, 0, 'no backend was contacted');
});

behaviour('a deadline that passes while the director thinks ends the call at once', async (t, world) => {
  const { conn, sessions } = await untouched(world);
  const aborted = deferred<unknown>();
  let answer: () => void;
  const { port } = await world.proxy(async ({ signal }) => {
    signal.addEventListener('abort', () => aborted.resolve(signal.reason), { once: true });
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return { primary: { conn }, requestFinalizer: (error) => aborted.resolve(error) };
  });
  const stream = world.http2Client(port).open(METHOD, { 'grpc-timeout': '30m' });
  const { headers } = await collectResponse(stream);
  t.equal(fieldValue(headers, 'grpc-status'), String(grpc.status.DEADLINE_EXCEEDED));
  t.match(await aborted.promise, { code: Code.DEADLINE_EXCEEDED });
  answer!();
  await new Promise(setImmediate);
  t.equal(sessions.length, 0, 'the answer that came too late contacts no backend');
});
