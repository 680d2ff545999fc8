import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { encodeMessage, type StreamDirector } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { cut } from '../support/chunks.js';
import { type Http2Backend, type OnRequest, respond } from '../support/http2-backend.js';
import type { Collected } from '../support/http2-body.js';
import { collectResponse, fieldValue, type Http2Client } from '../support/http2-client.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const DESTINATIONS = 4;

const seeds = fc.nat(0xffff);

/** Bytes that differ from place to place, and are quicker to make than fast-check's own. */
function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed + (i >> 8)) & 0xff;
  return bytes;
}

const payloads = fc
  .tuple(fc.oneof({ weight: 8, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.nat(80_000) }), seeds)
  .map(([length, seed]) => bytesOf(length, seed));

const messages = fc
  .array(fc.tuple(payloads, fc.boolean()), { maxLength: 6 })
  .map((all) => all.map(([payload, compressed]) => encodeMessage(payload, compressed)));

/** Sizes of the frames; the last goes on for as long as there are bytes. */
const cuts = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 12 }), fc.integer({ min: 1000, max: 40_000 }))
  .map(([first, last]) => [...first, last]);

const names = fc.stringMatching(/^x-[0-9a-z_.-]{1,12}$/).filter((name) => !name.endsWith('-bin'));
const texts = fc.stringMatching(/^(|[!-~]([ -~]{0,30}[!-~])?)$/);
const base64 = fc.tuple(fc.uint8Array({ maxLength: 30 }), fc.boolean()).map(([bytes, padded]) =>
  Buffer.from(bytes)
    .toString('base64')
    .replace(padded ? '' : /=+$/, ''),
);

type Field = readonly [name: string, value: string];

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.tuple(names, texts),
  // Few names, so that they repeat.
  fc.tuple(fc.constantFrom('x-a', 'x-b'), texts),
  fc.tuple(fc.constantFrom('x-a-bin', 'x-b-bin'), base64),
);

const fields = fc.oneof(
  { weight: 9, arbitrary: fc.array(field, { maxLength: 12 }) },
  { weight: 1, arbitrary: fc.array(field, { minLength: 100, maxLength: 400 }) },
);

/** As an object of node:http2, which keeps the values of each name in order. */
function toObject(list: readonly Field[]): OutgoingHttpHeaders {
  const object: Record<string, string[]> = {};
  for (const [name, value] of list) {
    object[name] ??= [];
    object[name].push(value);
  }
  return object;
}

/** The fields but for those that are HTTP's and the harness's own; by name, each name's values in order. */
function sorted(list: readonly Field[]): Field[] {
  const own = ([name]: Field) => /^(x-|grpc-)/.test(name) && name !== 'grpc-timeout';
  return list.filter(own).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function toFields(rawHeaders: readonly string[] = []): Field[] {
  const list: Field[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) list.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  return list;
}

async function writeInPieces(stream: Writable, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    stream.write(piece);
    // Else node:http2 joins them into one frame.
    await turn();
  }
}

interface Peers {
  readonly client: Http2Client;
  readonly backends: readonly Http2Backend[];
}

/** One proxy, client and set of backends for all runs of a property. */
async function setUp(
  world: World,
  onRequest: (index: number) => OnRequest,
  director: (conns: ReturnType<World['dial']>[]) => StreamDirector,
): Promise<Peers> {
  const backends: Http2Backend[] = [];
  for (let i = 0; i < DESTINATIONS; i++) backends.push(await world.http2Backend(onRequest(i)));
  const proxy = await world.proxy(director(backends.map(({ port }) => world.dial(port))));
  return { client: world.http2Client(proxy.port), backends };
}

behaviour('any request arrives byte for byte at each destination, peeked at or not', async (t, world) => {
  interface Run {
    readonly messages: Buffer[];
    readonly cuts: number[];
    readonly peek: number;
    /** What each destination gets in the place of the first message. */
    readonly replacements: (Buffer | undefined)[];
  }
  let run: Run;
  let arrivals: Promise<Collected>[] = [];
  let peeked: Buffer[] = [];
  const { client } = await setUp(
    world,
    (index) => async (request) => {
      const body = request.body();
      arrivals[index] = body;
      await body;
      respond(request.stream);
    },
    (conns) => async (_ctx, _method, peeker) => {
      if (run.peek > 0)
        peeked = (await peeker.peek(run.peek, { inflate: false })).map(({ payload }) => payload);
      const [primary, ...secondaries] = run.replacements.map((msg, index) => ({ conn: conns[index]!, msg }));
      return { primary: primary!, secondaries };
    },
  );
  const runs: fc.Arbitrary<Run> = fc.record({
    messages,
    cuts,
    peek: fc.nat(4),
    replacements: fc.array(fc.option(payloads, { nil: undefined }), {
      minLength: 1,
      maxLength: DESTINATIONS,
    }),
  });
  await t.resolves(
    fc.assert(
      fc.asyncProperty(runs, async (next) => {
        run = next;
        arrivals = [];
        peeked = [];
        const stream = client.open(METHOD);
        const response = collectResponse(stream);
        await writeInPieces(stream, cut(Buffer.concat(run.messages), run.cuts));
        stream.end();
        const { trailers } = await within(15_000, 'the call', response);
        assert.equal(fieldValue(trailers, 'grpc-status'), '0');
        assert.equal(arrivals.length, run.replacements.length);
        for (const [index, arrival] of arrivals.entries()) {
          const { data, aborted } = await arrival;
          const msg = run.replacements[index];
          const expected = msg === undefined ? run.messages : [encodeMessage(msg), ...run.messages.slice(1)];
          assert.ok(data.equals(Buffer.concat(expected)), `destination ${index}`);
          assert.equal(aborted, false);
        }
        const expected = run.messages.slice(0, run.peek).map((message) => message.subarray(5));
        assert.deepEqual(peeked, expected);
      }),
      { numRuns: 100 },
    ),
  );
});

behaviour('any metadata arrives at each destination', async (t, world) => {
  let arrived: Field[][] = [];
  let run: { readonly looksAt: boolean; readonly secondaries: number };
  const { client } = await setUp(
    world,
    (index) =>
      ({ stream, rawHeaders }) => {
        arrived[index] = toFields(rawHeaders);
        respond(stream);
      },
    (conns) => (ctx) => {
      // Looking makes the metadata an object, which then goes out in the place of the list that came in.
      if (run.looksAt) ctx.metadata.has('x-a');
      const [primary, ...secondaries] = conns.slice(0, 1 + run.secondaries).map((conn) => ({ conn }));
      return { primary: primary!, secondaries };
    },
  );
  const runs = fc.record({ looksAt: fc.boolean(), secondaries: fc.nat(3), fields });
  await t.resolves(
    fc.assert(
      fc.asyncProperty(runs, async (next) => {
        run = next;
        arrived = [];
        const response = client.call(METHOD, encodeMessage(Buffer.from('hi')), toObject(next.fields));
        const { trailers } = await within(15_000, 'the call', response);
        assert.equal(fieldValue(trailers, 'grpc-status'), '0');
        assert.equal(arrived.length, 1 + next.secondaries);
        for (const each of arrived) assert.deepEqual(sorted(each), sorted(next.fields));
      }),
      { numRuns: 100 },
    ),
  );
});

behaviour('any response comes back byte for byte', async (t, world) => {
  interface Run {
    readonly messages: Buffer[];
    readonly cuts: number[];
    readonly headers: Field[];
    readonly trailers: Field[];
    readonly trailersOnly: boolean;
    readonly secondaries: number;
  }
  let run: Run;
  async function answer(stream: ServerHttp2Stream): Promise<void> {
    const headers = { ':status': 200, 'content-type': 'application/grpc' };
    if (run.trailersOnly) {
      stream.respond({ ...headers, ...toObject(run.trailers) }, { endStream: true });
      return;
    }
    stream.respond({ ...headers, ...toObject(run.headers) }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(toObject(run.trailers)));
    await writeInPieces(stream, cut(Buffer.concat(run.messages), run.cuts));
    stream.end();
  }
  const { client } = await setUp(
    world,
    (index) => async (request) => {
      await request.body();
      // The secondaries' answers must leave no trace.
      if (index > 0) respond(request.stream, encodeMessage(Buffer.from('secondary')), { 'grpc-status': '0' });
      else await answer(request.stream);
    },
    (conns) => () => {
      const [primary, ...secondaries] = conns.slice(0, 1 + run.secondaries).map((conn) => ({ conn }));
      return { primary: primary!, secondaries };
    },
  );
  const status = fc.oneof({ weight: 4, arbitrary: fc.nat(16) }, { weight: 1, arbitrary: fc.nat(200) });
  const trailers = fc
    .tuple(status, fc.option(texts), fc.option(base64), fc.array(field, { maxLength: 12 }))
    .map(([code, message, details, rest]): Field[] => {
      const all: Field[] = [['grpc-status', String(code)]];
      if (message !== null) all.push(['grpc-message', message]);
      if (details !== null) all.push(['grpc-status-details-bin', details]);
      return [...all, ...rest];
    });
  const runs: fc.Arbitrary<Run> = fc.record({
    messages,
    cuts,
    headers: fields,
    trailers,
    trailersOnly: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    secondaries: fc.nat(3),
  });
  await t.resolves(
    fc.assert(
      fc.asyncProperty(runs, async (next) => {
        run = next;
        const response = await within(
          5000,
          'the call',
          client.call(METHOD, encodeMessage(Buffer.from('hi'))),
        );
        assert.equal(response.trailersOnly, run.trailersOnly);
        assert.ok(response.data.equals(run.trailersOnly ? Buffer.alloc(0) : Buffer.concat(run.messages)));
        assert.deepEqual(
          sorted(toFields(response.headers)),
          sorted(run.trailersOnly ? run.trailers : run.headers),
        );
        if (!run.trailersOnly) assert.deepEqual(sorted(toFields(response.trailers)), sorted(run.trailers));
        assert.equal(response.resetCode, 0);
      }),
      { numRuns: 100 },
    ),
  );
});
