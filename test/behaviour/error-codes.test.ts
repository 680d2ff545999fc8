import { handleStream, type ServerStream, type StreamInterceptor } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { dialled, METHOD, ok } from '../support/unary.js';

/** What an attempt fails with. */
async function codeOf(attempt: () => unknown): Promise<unknown> {
  try {
    await attempt();
  } catch (error) {
    return Reflect.get(Object(error), 'code');
  }
  return 'no error';
}

behaviour('what a handler must not do is told by a code', async (t, world) => {
  const codes: Record<string, unknown> = {};
  const ended = deferred<ServerStream>();
  const { port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      const messages = stream[Symbol.asyncIterator]();
      await messages.next();
      codes.peek = await codeOf(() => stream.peek());
      const waiting = messages.next();
      codes.reader = await codeOf(() => messages.next());
      await waiting;
      stream.sendHeader();
      codes.headers = await codeOf(() => stream.sendHeader());
      ended.resolve(stream);
    },
  });
  await world.grpcClient(port).call(METHOD, ['one', 'two']);
  const stream = await ended.promise;
  codes.ended = await codeOf(() => stream.sendMessage(Buffer.alloc(0)));
  t.strictSame(codes, {
    peek: 'ERR_PEEK_TOO_LATE',
    reader: 'ERR_ONE_READER',
    headers: 'ERR_HEADERS_SENT',
    ended: 'ERR_CALL_ENDED',
  });
});

behaviour('a call that is proxied is nobody else’s, which is told by a code', async (t, world) => {
  const { destinations } = await dialled(world, [ok]);
  const codes: unknown[] = [];
  const { port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      const outcome = handleStream(stream, METHOD, { primary: destinations[0]! });
      codes.push(await codeOf(() => stream[Symbol.asyncIterator]()));
      codes.push(await codeOf(() => stream.sendMessage(Buffer.alloc(0))));
      await outcome;
    },
  });
  await world.grpcClient(port).call(METHOD, ['one']);
  t.strictSame(codes, ['ERR_CALL_PROXIED', 'ERR_CALL_PROXIED']);
});

behaviour('an interceptor that goes on twice is told by a code', async (t, world) => {
  const codes: unknown[] = [];
  const twice: StreamInterceptor = async (_, next) => {
    const outcome = next();
    codes.push(await codeOf(next));
    await outcome;
  };
  const { port } = await world.serve({ interceptors: [twice], unknownServiceHandler: () => {} });
  await world.grpcClient(port).call(METHOD, []);
  t.strictSame(codes, ['ERR_NEXT_CALLED']);
});
