import http2 from 'node:http2';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import {
  encodeMessage,
  handleStream,
  type ServerStream,
  StatusError,
  transparentHandler,
} from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { echo } from '../support/grpc-backend.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue } from '../support/http2-client.js';
import { text, wire } from '../support/peeking.js';
import { ProcessEvents } from '../support/process-events.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Echo';
const MESSAGES = ['one', 'two', 'three'];

behaviour('a handler that has peeked reads every message once', async (t, world) => {
  const peeked: string[] = [];
  const { port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      for (const { payload } of await stream.peek(2)) peeked.push(String(payload));
      for await (const message of stream) await stream.sendMessage(message);
    },
  });
  const { code, messages } = await world.grpcClient(port).call(METHOD, MESSAGES);
  t.equal(code, status.OK);
  t.strictSame(peeked, ['one', 'two']);
  t.strictSame(messages.map(String), MESSAGES);
});

behaviour(
  'a call that a handler or an interceptor has peeked at can still be proxied, whole',
  async (t, world) => {
    const backend = await world.grpcBackend({ [METHOD]: echo });
    const conn = world.dial(backend.port);
    const peeked: string[] = [];
    const { port, server } = await world.serve({
      interceptors: [
        async (stream, next) => {
          peeked.push(`interceptor ${(await stream.peek())[0]?.payload}`);
          await next();
        },
      ],
      unknownServiceHandler: transparentHandler(async (_ctx, _method, peeker) => {
        peeked.push(`director ${(await peeker.peek())[0]?.payload}`);
        return { primary: { conn } };
      }),
    });
    server.register('test.Handled', {
      Echo: async (stream) => {
        peeked.push(`handler ${(await stream.peek())[0]?.payload}`);
        await handleStream(stream, METHOD, { primary: { conn } });
      },
    });
    for (const method of [METHOD, '/test.Handled/Echo']) {
      const { code, messages } = await world.grpcClient(port).call(method, MESSAGES);
      t.equal(code, status.OK);
      t.strictSame(messages.map(String), MESSAGES);
    }
    t.strictSame(peeked, ['interceptor one', 'director one', 'interceptor one', 'handler one']);
  },
);

behaviour(
  'interceptors and a director peek at one call, each as it likes, and it goes on whole',
  async (t, world) => {
    const received: Buffer[] = [];
    const backend = await world.http2Backend(async ({ stream, body }) => {
      received.push((await body()).data);
      respond(stream);
    });
    const conn = world.dial(backend.port);
    const seen: unknown[] = [];
    const zipped = gzipSync('zipped');
    const { port } = await world.serve({
      interceptors: [
        async (stream, next) => {
          seen.push(['outer', text(await stream.peek()), stream.inputEnded]);
          await next();
        },
        async (stream, next) => {
          const [two, raw] = await Promise.all([stream.peek(2), stream.peek(1, { inflate: false })]);
          seen.push(['inner', text(two), raw[0]?.payload.equals(zipped), raw[0]?.compressed]);
          // One that is given up, one that fails, and one that nobody waits for.
          const given = await stream
            .peek(9, { signal: AbortSignal.abort('given up') })
            .catch((error) => error);
          const wrong = await stream.peek(0).catch((error: Error) => error.name);
          seen.push([given, wrong]);
          void stream.peek(9);
          await next();
        },
      ],
      unknownServiceHandler: transparentHandler(async (_ctx, _method, peeker) => {
        seen.push(['director', text(await peeker.peek(3)), peeker.ended]);
        seen.push(['director', text(await peeker.peek(9)), peeker.ended]);
        return { primary: { conn } };
      }),
    });
    const body = Buffer.concat([encodeMessage(zipped, true), wire('two', 'three')]);
    const response = await world.http2Client(port).call(METHOD, body, { 'grpc-encoding': 'gzip' });
    t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
    t.same(received, [body]);
    t.strictSame(seen, [
      ['outer', ['zipped'], true],
      ['inner', ['zipped', 'two'], true, true],
      ['given up', 'InvalidPeekCountError'],
      ['director', ['zipped', 'two', 'three'], true],
      ['director', ['zipped', 'two', 'three'], true],
    ]);
  },
);

behaviour('a peek that nobody waits for, or that comes too late, ends nothing', async (t, world) => {
  const events = new ProcessEvents(t);
  let late: Promise<unknown> | undefined;
  const { port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      void stream.peek(100);
      for await (const message of stream) await stream.sendMessage(message);
      late = stream.peek();
    },
  });
  const { code, messages } = await world.grpcClient(port).call(METHOD, MESSAGES);
  t.strictSame([code, messages.map(String)], [status.OK, MESSAGES]);
  await t.rejects(late!, { message: /a handler has begun to read/ });
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour(
  'a peek that waits is rejected at the end of the call, and so is one behind it',
  async (t, world) => {
    const events = new ProcessEvents(t);
    const peeks: Promise<unknown>[] = [];
    const streams: ServerStream[] = [];
    for (const peeksBefore of [true, false]) {
      const { port } = await world.serve({
        unknownServiceHandler: async (stream) => {
          if (peeksBefore) {
            await stream.peek(1);
            peeks.push(stream.peek(2));
          }
          streams.push(stream);
        },
      });
      const call = world.http2Client(port).open(METHOD, {}, true);
      call.resume();
      call.write(encodeMessage(Buffer.from('one')));
      // Its status has come.
      await new Promise((resolve) => call.on('trailers', resolve).on('end', resolve));
    }
    for (const stream of streams) peeks.push(stream.peek(1));
    t.equal(peeks.length, 3);
    for (const peek of peeks)
      await t.rejects(within(1000, 'an answer', peek), { message: 'the call has ended' });
    await events.settled();
    t.strictSame(events.fatal, []);
  },
);

behaviour(
  'a handler’s peek is rejected when the client cancels, and beyond the longest message',
  async (t, world) => {
    const failures: unknown[] = [];
    let peeked = (): void => {};
    const { port } = await world.serve({
      maxReceiveMessageBytes: 10,
      unknownServiceHandler: async (stream) => {
        try {
          await stream.peek(1);
          peeked();
          await stream.peek(2);
        } catch (error) {
          failures.push(error);
          throw error;
        }
      },
    });
    const client = world.grpcClient(port);
    t.equal((await client.call(METHOD, ['x'.repeat(11)])).code, status.RESOURCE_EXHAUSTED);
    // grpc-js half-closes when it cancels, and so would end the peek in order.
    const stream = world.http2Client(port).open(METHOD, {}, true);
    stream.on('error', () => {});
    peeked = () => stream.close(http2.constants.NGHTTP2_CANCEL);
    stream.write(encodeMessage(Buffer.from('one')));
    await eventually('the peek is rejected', () => failures.length === 2);
    t.ok(failures[1] instanceof StatusError);
    t.equal((failures[1] as StatusError).code, status.CANCELLED);
  },
);

behaviour(
  'a handler that cannot inflate what it peeks at names the encodings that it can',
  async (t, world) => {
    const { port } = await world.serve({
      unknownServiceHandler: async (stream) => void (await stream.peek()),
    });
    const body = encodeMessage(Buffer.from('x'), true);
    const { headers } = await world.http2Client(port).call(METHOD, body, { 'grpc-encoding': 'br' });
    t.equal(fieldValue(headers, 'grpc-status'), String(status.UNIMPLEMENTED));
    t.equal(fieldValue(headers, 'grpc-accept-encoding'), 'identity,deflate,gzip');
  },
);
