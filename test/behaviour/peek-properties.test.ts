import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { encodeMessage, type Message } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { cut } from '../support/chunks.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Echo/Bidi';

const message = fc.record(
  {
    payload: fc
      .oneof(
        { weight: 8, arbitrary: fc.uint8Array({ maxLength: 60 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 40_000 }).map((length) => new Uint8Array(length)) },
      )
      .map((bytes) => Buffer.from(bytes)),
    compressed: fc.boolean(),
  },
  { noNullPrototype: true },
);

behaviour(
  'whatever is peeked, however DATA is cut, the backend gets the bytes that the client sent',
  async (t, world) => {
    let peeks: readonly number[] = [];
    let peeked: Message[][] = [];
    let asSent: Message[][] = [];
    let received: Promise<Buffer> | undefined;
    const backend = await world.http2Backend(({ stream, body }) => {
      received = body().then(({ data }) => data);
      void received.then((data) => respond(stream, data));
    });
    const conn = world.dial(backend.port);
    const { port } = await world.proxy(async (_ctx, _method, peeker) => {
      for (const count of peeks) {
        peeked.push(await peeker.peek(count));
        asSent.push(await peeker.peek(count, { inflate: false }));
      }
      return { primary: { conn } };
    });
    const client = world.http2Client(port);

    const call = fc.record({
      messages: fc.array(message, { maxLength: 8 }),
      counts: fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 4 }),
      sizes: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 }),
    });
    const holds = fc.asyncProperty(call, async ({ messages, counts, sizes }) => {
      peeks = counts;
      peeked = [];
      asSent = [];
      const sent = messages.map(({ payload, compressed }) => ({
        payload: compressed ? gzipSync(payload) : payload,
        compressed,
      }));
      const bytes = Buffer.concat(sent.map((each) => encodeMessage(each.payload, each.compressed)));
      const stream = client.open(METHOD, { 'grpc-encoding': 'gzip' });
      const response = collectResponse(stream);
      // 0 ends the list: what is left goes as it is.
      for (const chunk of cut(bytes, [...sizes, 0]).filter(({ length }) => length > 0)) {
        await new Promise((resolve) => stream.write(chunk, resolve));
      }
      stream.end();
      const { headers, trailers, data } = await response;
      assert.equal(fieldValue(trailers ?? headers, 'grpc-status'), '0');
      assert.deepEqual(
        peeked,
        counts.map((count) =>
          messages.slice(0, count).map(({ payload }) => ({ payload, compressed: false })),
        ),
      );
      assert.deepEqual(
        asSent,
        counts.map((count) => sent.slice(0, count)),
      );
      assert.ok((await received)?.equals(bytes), 'what the backend received');
      assert.ok(data.equals(bytes), 'what came back');
    });
    await t.resolves(fc.assert(holds, { numRuns: 150 }));
  },
);
