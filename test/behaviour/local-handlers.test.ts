import http2 from 'node:http2';
import { deflateSync, gzipSync } from 'node:zlib';
import type * as grpc from '@grpc/grpc-js';
import {
  Code,
  encodeMessage,
  Metadata,
  registerStreamHandlers,
  type ServerStream,
  StatusError,
  type StreamHandler,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import { data, errorCode, Flag, FrameType, headers } from '../support/frame.js';
import { collect } from '../support/grpc-client.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';
import { within } from '../support/within.js';

const METHOD = '/test.Local/Call';
const MIB = 1024 * 1024;

async function handling(world: World, handler: StreamHandler, maxReceiveMessageBytes?: number) {
  const { port } = await world.serve({ maxReceiveMessageBytes }, (server) => {
    registerStreamHandlers(server, 'test.Local', { Call: handler });
  });
  return { port, grpcClient: world.grpcClient(port), client: world.http2Client(port) };
}

async function echo(stream: ServerStream): Promise<void> {
  for await (const message of stream) await stream.sendMessage(message);
}

behaviour('a handler reads by iteration, and answers', async (t, world) => {
  const { grpcClient } = await handling(world, async (stream) => {
    stream.sendHeader(new Metadata({ 'x-header': 'early' }));
    await echo(stream);
    stream.setTrailer(new Metadata({ 'x-count': '3', 'x-sum-bin': Uint8Array.of(0, 255) }));
  });
  const result = await grpcClient.call(METHOD, ['one', '', 'three']);
  t.equal(result.code, Code.OK);
  t.same(result.messages.map(String), ['one', '', 'three']);
  t.same(result.headers?.get('x-header'), ['early']);
  t.same(result.trailers.get('x-count'), ['3']);
  t.same(result.trailers.get('x-sum-bin'), [Buffer.of(0, 255)]);
});

behaviour('a handler that answers nothing ends the call in Trailers-Only', async (t, world) => {
  const { client } = await handling(world, (stream) => {
    stream.setTrailer(new Metadata({ 'x-late': 'yes' }));
  });
  const response = await client.call(METHOD, Buffer.alloc(0));
  t.equal(response.trailersOnly, true);
  t.equal(fieldValue(response.headers, 'grpc-status'), '0');
  t.equal(fieldValue(response.headers, 'x-late'), 'yes');
});

behaviour('response headers go out the moment that they are sent', async (t, world) => {
  const { grpcClient } = await handling(world, async (stream) => {
    stream.sendHeader(new Metadata({ 'x-header': 'early' }));
    t.throws(() => stream.sendHeader(), /already/);
    await echo(stream);
  });
  const call = grpcClient.open(METHOD);
  const result = collect(call);
  const metadata = await new Promise<grpc.Metadata>((resolve) => call.on('metadata', resolve));
  t.same(metadata.get('x-header'), ['early'], 'before the client has sent anything');
  call.end();
  t.equal((await result).code, Code.OK);
});

behaviour('a handler that throws a StatusError ends the call with it', async (t, world) => {
  const { grpcClient } = await handling(world, async (stream) => {
    await stream.sendMessage(Buffer.from('partial'));
    throw new StatusError(Code.ABORTED, 'zu spät', new Metadata({ 'x-why': 'because' }));
  });
  const result = await grpcClient.call(METHOD, ['one']);
  t.equal(result.code, Code.ABORTED);
  t.equal(result.details, 'zu spät');
  t.same(result.trailers.get('x-why'), ['because']);
  t.same(result.messages.map(String), ['partial']);
});

behaviour('a handler that throws anything else ends the call with UNKNOWN', async (t, world) => {
  const throwing: StreamHandler[] = [
    () => {
      throw new TypeError('a bug');
    },
    async () => {
      throw new TypeError('a bug');
    },
  ];
  for (const handler of throwing) {
    const { grpcClient } = await handling(world, handler);
    const { code, details } = await grpcClient.call(METHOD, []);
    t.equal(code, Code.UNKNOWN);
    t.equal(details, 'a bug');
  }
});

behaviour('compressed requests are inflated for a handler', async (t, world) => {
  const { client } = await handling(world, echo);
  const compressions = { gzip: gzipSync, deflate: deflateSync };
  for (const [encoding, compress] of Object.entries(compressions)) {
    const body = Buffer.concat([encodeMessage(compress('hello'), true), encodeMessage(Buffer.from('plain'))]);
    const response = await client.call(METHOD, body, { 'grpc-encoding': encoding });
    t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
    t.same(
      response.data,
      Buffer.concat([encodeMessage(Buffer.from('hello')), encodeMessage(Buffer.from('plain'))]),
    );
  }
  const unknown = await client.call(METHOD, encodeMessage(Buffer.from('x'), true), {
    'grpc-encoding': 'snappy',
  });
  t.equal(fieldValue(unknown.headers, 'grpc-status'), String(Code.UNIMPLEMENTED));
  t.equal(
    fieldValue(unknown.headers, 'grpc-accept-encoding'),
    'identity,deflate,gzip',
    'and says what is known',
  );
});

behaviour('a compressed flag without a grpc-encoding is INTERNAL', async (t, world) => {
  const { client } = await handling(world, echo);
  for (const headers of [{}, { 'grpc-encoding': 'identity' }]) {
    const response = await client.call(METHOD, encodeMessage(Buffer.from('raw'), true), headers);
    t.equal(fieldValue(response.headers, 'grpc-status'), String(Code.INTERNAL));
    t.match(fieldValue(response.headers, 'grpc-message'), /marked as compressed, but grpc-encoding is/);
    t.equal(response.data.length, 0);
  }
});

behaviour('a message over maxReceiveMessageBytes is RESOURCE_EXHAUSTED', async (t, world) => {
  const { client } = await handling(world, echo, 1000);
  const just = await client.call(METHOD, encodeMessage(Buffer.alloc(1000)));
  t.equal(fieldValue(just.trailers, 'grpc-status'), '0');
  // Its prefix alone says so.
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  stream.write(encodeMessage(Buffer.alloc(1001)).subarray(0, 5));
  t.equal(fieldValue((await response).headers, 'grpc-status'), String(Code.RESOURCE_EXHAUSTED));
  const bomb = await client.call(METHOD, encodeMessage(gzipSync(Buffer.alloc(MIB)), true), {
    'grpc-encoding': 'gzip',
  });
  t.equal(fieldValue(bomb.headers, 'grpc-status'), String(Code.RESOURCE_EXHAUSTED), 'when inflated, too');
});

behaviour(
  'a request that ends inside a message is INTERNAL, after the messages before it',
  async (t, world) => {
    const { client } = await handling(world, echo);
    const body = Buffer.concat([encodeMessage(Buffer.from('one')), Buffer.of(0, 0, 0)]);
    const response = await client.call(METHOD, body);
    t.same(response.data, encodeMessage(Buffer.from('one')));
    t.equal(fieldValue(response.trailers, 'grpc-status'), String(Code.INTERNAL));
  },
);

behaviour('a handler that does not read holds the client back', async (t, world) => {
  const go = deferred();
  let messages = 0;
  const { client } = await handling(world, async (stream) => {
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    messages++;
    await go.promise;
    while ((await iterator.next()).done !== true) messages++;
  });
  const block = encodeMessage(Buffer.alloc(MIB));
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  let written = 0;
  const stalled = deferred();
  let timer: NodeJS.Timeout | undefined;
  const pour = (): void => {
    if (written === 30) {
      stream.end();
      return;
    }
    written++;
    clearTimeout(timer);
    timer = setTimeout(stalled.resolve, 100);
    stream.write(block, pour);
  };
  pour();
  await stalled.promise;
  clearTimeout(timer);
  t.ok(written < 8, `${written} of 30 MiB were written when the client stalled`);
  await eventually('one is read', () => messages === 1);
  go.resolve();
  t.equal(fieldValue((await response).headers, 'grpc-status'), '0');
  t.equal(messages, 30);
});

behaviour('sendMessage waits while the client does not read, each of several', async (t, world) => {
  let sent = 0;
  const { client } = await handling(world, async (stream) => {
    const messages = Array.from({ length: 20 }, () =>
      stream.sendMessage(Buffer.alloc(MIB / 4)).then(() => sent++),
    );
    await Promise.all(messages);
  });
  const stream = client.open(METHOD);
  stream.end();
  await new Promise((resolve) => stream.on('response', resolve));
  await client.roundTrip();
  t.ok(sent < 10, `${sent} of 20 were through while nobody read`);
  const response = await collectResponse(stream);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  t.equal(response.data.length, 20 * (MIB / 4 + 5));
  t.equal(sent, 20);
});

behaviour('a handler that returns early answers completely, then resets with NO_ERROR', async (t, world) => {
  const { port, grpcClient } = await handling(world, async (stream) => {
    for await (const message of stream) {
      await stream.sendMessage(message);
      return;
    }
  });
  const raw = await world.frameClient(port);
  const message = encodeMessage(Buffer.from('one'));
  raw.send(headers(1, requestTo(METHOD)), data(1, message));
  const reset = await raw.first(1, FrameType.RST_STREAM);
  const frames = raw.of(1);
  t.same(
    frames.map(({ type, flags }) => [type, flags & Flag.END_STREAM]),
    [
      [FrameType.HEADERS, 0],
      [FrameType.DATA, 0],
      [FrameType.HEADERS, Flag.END_STREAM],
      [FrameType.RST_STREAM, 0],
    ],
  );
  t.same(frames[1]?.payload, message);
  t.equal(errorCode(reset), http2.constants.NGHTTP2_NO_ERROR);

  const call = grpcClient.open(METHOD);
  const result = collect(call);
  call.write(Buffer.from('one'));
  t.equal((await result).code, Code.OK, 'and a gRPC client takes it for OK');
});

behaviour('a client that cancels rejects the iteration, and aborts the signal', async (t, world) => {
  const outcome = deferred<unknown[]>();
  const { client } = await handling(world, async (stream) => {
    const { signal } = stream.context;
    try {
      await echo(stream);
    } catch (error) {
      const late = await stream.sendMessage(Buffer.of(1)).catch((sendError) => sendError);
      outcome.resolve([error, signal.aborted && signal.reason, stream.cancelled, late]);
    }
  });
  const stream = client.open(METHOD, {}, true);
  stream.write(encodeMessage(Buffer.from('one')));
  await new Promise((resolve) => stream.once('data', resolve));
  stream.close(http2.constants.NGHTTP2_CANCEL);
  const errors = await outcome.promise;
  t.equal(errors.length, 4);
  for (const error of errors) {
    t.ok(error instanceof StatusError);
    t.match(error, { code: Code.CANCELLED });
  }
});

behaviour('a handler that waits to send is told when the client cancels', async (t, world) => {
  const outcome = deferred<unknown>();
  const { client } = await handling(world, async (stream) => {
    try {
      for (;;) await stream.sendMessage(Buffer.alloc(MIB));
    } catch (error) {
      outcome.resolve(error);
    }
  });
  const stream = client.open(METHOD);
  stream.end();
  await new Promise((resolve) => stream.on('response', resolve));
  stream.close(http2.constants.NGHTTP2_CANCEL);
  t.match(await outcome.promise, { code: Code.CANCELLED });
});

behaviour('a deadline is told at once, though the handler still runs', async (t, world) => {
  const go = deferred();
  const outcome = deferred<unknown>();
  const { client } = await handling(world, async (stream) => {
    const iteration = echo(stream).catch((error) => error);
    await go.promise;
    outcome.resolve([await iteration, stream.context.signal.reason]);
  });
  const started = performance.now();
  const stream = client.open(METHOD, { 'grpc-timeout': '50m' });
  const { headers } = await collectResponse(stream);
  t.equal(fieldValue(headers, 'grpc-status'), String(Code.DEADLINE_EXCEEDED));
  t.ok(performance.now() - started >= 49, 'not early');
  go.resolve();
  t.match(await outcome.promise, [{ code: Code.DEADLINE_EXCEEDED }, { code: Code.DEADLINE_EXCEEDED }]);
});

behaviour('a deadline after the headers ends the call by trailers', async (t, world) => {
  const { client } = await handling(world, async (stream) => {
    await stream.sendMessage(Buffer.from('one'));
    await new Promise(() => {});
  });
  const response = await client.call(METHOD, Buffer.alloc(0), { 'grpc-timeout': '50m' });
  t.same(response.data, encodeMessage(Buffer.from('one')));
  t.equal(fieldValue(response.trailers, 'grpc-status'), String(Code.DEADLINE_EXCEEDED));
});

behaviour('who begins to read after the end of a call does not wait for ever', async (t, world) => {
  const streams: ServerStream[] = [];
  const { port } = await world.serve({ unknownServiceHandler: (stream) => void streams.push(stream) });
  // Half-closed or not.
  const client = world.http2Client(port);
  await client.call('/test.Service/Method', encodeMessage(Buffer.from('one')));
  const open = client.open('/test.Service/Method').resume();
  await new Promise((resolve) => open.on('close', resolve));
  t.equal(streams.length, 2);
  for (const stream of streams) {
    const read = stream[Symbol.asyncIterator]().next();
    await t.rejects(within(1000, 'an answer', read), { code: 'ERR_CALL_ENDED' });
  }
});
