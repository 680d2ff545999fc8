import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Code, encodeMessage, type RetryPolicy } from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { behaviour } from '../support/behaviour.js';
import { cut } from '../support/chunks.js';
import { ErrorCode } from '../support/frame.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse } from '../support/http2-client.js';
import { METHOD, status } from '../support/unary.js';
import { within } from '../support/within.js';

// However attempts fail, and wherever in the request: the backend that answers has been sent exactly the request.

const POLICY: RetryPolicy = {
  maxAttempts: 5,
  codes: [Code.UNAVAILABLE, Code.INTERNAL],
  initialBackoff: 2,
  maxBackoff: 5,
  multiplier: 1.5,
};

const WAYS: Readonly<Record<string, (stream: ServerHttp2Stream) => void>> = {
  status: (stream) =>
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
      { endStream: true },
    ),
  http: (stream) => stream.respond({ ':status': 503, 'content-type': 'text/plain' }, { endStream: true }),
  reset: (stream) => stream.close(ErrorCode.INTERNAL_ERROR),
  refused: (stream) => stream.close(ErrorCode.REFUSED_STREAM),
  lost: (stream) => stream.session?.destroy(),
};

/** What becomes of an attempt: after so many bytes of the request, or at its end, it fails in this way. */
const failures = fc.array(
  fc.record({
    way: fc.constantFrom(...Object.keys(WAYS)),
    after: fc.oneof(fc.constant(0), fc.nat(30_000), fc.constant(Infinity)),
  }),
  { minLength: 1, maxLength: 4 },
);

const request = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.nat(30_000) }), {
    maxLength: 5,
  })
  .map((lengths) => lengths.map((length, i) => encodeMessage(Buffer.alloc(length, `${i} and ${length}, `))))
  .filter((messages) => Buffer.concat(messages).length <= 64 * 1024);

const cuts = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 6 });

behaviour('a request is sent again as it was, whatever becomes of its attempts', async (t, world) => {
  let plan: { readonly way: string; readonly after: number }[] = [];
  let answered: Buffer[] = [];
  const backend = await world.http2Backend(({ stream }) => {
    const failure = plan.shift();
    const chunks: Buffer[] = [];
    let length = 0;
    const failOnce = (): void => {
      if (failure !== undefined && !stream.destroyed && !stream.headersSent) WAYS[failure.way]!(stream);
    };
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (failure !== undefined && length >= failure.after) failOnce();
    });
    stream.on('end', () => {
      if (failure !== undefined) {
        failOnce();
      } else if (!stream.aborted) {
        answered.push(Buffer.concat(chunks));
        respond(stream);
      }
    });
    if (failure?.after === 0) failOnce();
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy((ctx) => ({
    primary: { conn, msg: ctx.metadata.has('x-replaced') ? Buffer.from('instead') : undefined },
    callOptions: { retry: POLICY, waitForReady: true },
  }));
  const client = world.http2Client(proxy.port);
  const property = fc.asyncProperty(
    failures,
    request,
    cuts,
    fc.boolean(),
    async (failures, messages, sizes, isReplaced) => {
      plan = [...failures];
      answered = [];
      const stream = client.open(METHOD, isReplaced ? { 'x-replaced': '1' } : {});
      const response = collectResponse(stream);
      for (const chunk of cut(Buffer.concat(messages), sizes)) {
        stream.write(chunk);
        await turn();
      }
      stream.end();
      assert.equal(status(await within(10_000, 'the call', response)), '0');
      const sent = isReplaced ? [encodeMessage(Buffer.from('instead')), ...messages.slice(1)] : messages;
      assert.equal(answered.length, 1);
      assert.ok(answered[0]!.equals(Buffer.concat(sent)), `${answered[0]!.length} bytes were answered`);
      assert.equal(heldBytes(), 0);
    },
  );
  await t.resolves(fc.assert(property, { numRuns: 25 }));
});
