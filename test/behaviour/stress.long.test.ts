import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Writable } from 'node:stream';
import { status } from '@grpc/grpc-js';
import { encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { echo } from '../support/grpc-backend.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue, type Http2Client } from '../support/http2-client.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const KIB = 1024;
const MIB = 1024 * KIB;
const SECONDARIES = 2;

function digest(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

/** Bytes that differ from place to place. */
function bytesOf(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) + (i >> 16)) & 0xff;
  return bytes;
}

/** As many small messages, each with its number. */
function smallMessages(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => encodeMessage(Buffer.from(`message ${i}`)));
}

/** Writes each piece by itself, and keeps to what the stream says about room. */
async function writeAll(stream: Writable, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve));
  }
  stream.end();
}

/** A proxy to one primary and two secondaries, and a client. */
async function setUp(
  world: World,
  onRequest: OnRequest,
  onSecondaryRequest = onRequest,
): Promise<Http2Client> {
  const primary = world.dial((await world.http2Backend(onRequest)).port);
  const secondary = world.dial((await world.http2Backend(onSecondaryRequest)).port);
  const proxy = await world.proxy(() => ({
    primary: { conn: primary },
    secondaries: Array.from({ length: SECONDARIES }, () => ({ conn: secondary })),
  }));
  return world.http2Client(proxy.port);
}

/** Sends each request back as it comes. */
const echoBytes: OnRequest = ({ stream }) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.pipe(stream);
};

behaviour('three hundred calls at once, with two secondaries', async (t, world) => {
  const conns = [];
  for (let i = 0; i <= SECONDARIES; i++) {
    conns.push(world.dial((await world.grpcBackend({ [METHOD]: echo })).port));
  }
  const [primary, ...secondaries] = conns.map((conn) => ({ conn }));
  const proxy = await world.proxy(() => ({ primary: primary!, secondaries }));
  const client = world.grpcClient(proxy.port);
  const calls = Array.from({ length: 300 }, async (_, i) => {
    const result = await client.call(METHOD, [`one ${i}`, `two ${i}`, `three ${i}`]);
    assert.equal(result.code, status.OK, result.details);
    assert.equal(result.messages.join(), `one ${i},two ${i},three ${i}`);
  });
  await t.resolves(within(10_000, 'all calls', Promise.all(calls)));
});

behaviour('twenty thousand small messages up one stream', async (t, world) => {
  const received: string[] = [];
  const client = await setUp(world, async ({ stream, body }) => {
    received.push(digest((await body()).data));
    respond(stream);
  });
  const messages = smallMessages(20_000);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  await within(20_000, 'the upload', writeAll(stream, messages));
  const { trailers } = await within(20_000, 'the call', response);
  t.equal(fieldValue(trailers, 'grpc-status'), '0');
  t.strictSame(received, Array(1 + SECONDARIES).fill(digest(Buffer.concat(messages))));
});

behaviour('twenty thousand small messages down one stream', async (t, world) => {
  const messages = smallMessages(20_000);
  const answer: OnRequest = ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    void writeAll(stream, messages);
  };
  const client = await setUp(world, answer);
  const { data, trailers } = await within(
    20_000,
    'the call',
    client.call(METHOD, encodeMessage(Buffer.alloc(0))),
  );
  t.equal(fieldValue(trailers, 'grpc-status'), '0');
  t.equal(digest(data), digest(Buffer.concat(messages)));
});

behaviour('twenty thousand small messages both ways on one stream', async (t, world) => {
  const client = await setUp(world, echoBytes);
  const messages = smallMessages(20_000);
  const stream = client.open(METHOD);
  const response = collectResponse(stream);
  await within(20_000, 'the upload', writeAll(stream, messages));
  const { data, trailers } = await within(20_000, 'the call', response);
  t.equal(fieldValue(trailers, 'grpc-status'), '0');
  t.equal(digest(data), digest(Buffer.concat(messages)));
});

/** Payloads whose message, with its prefix of 5 bytes, or without it, is about as long as each of these. */
function sizesAround(...edges: number[]): number[] {
  return edges.flatMap((edge) => Array.from({ length: 5 + 8 + 8 + 1 }, (_, i) => edge - 5 - 8 + i));
}

behaviour('messages of every size around frames and windows come and go whole', async (t, world) => {
  const client = await setUp(world, echoBytes);
  const sizes = [
    0,
    1,
    // The longest frame by default, the default window, and ours.
    ...sizesAround(16 * KIB, 64 * KIB),
    ...[-6, -5, -4, -1, 0, 1].map((more) => 256 * KIB + more),
    ...[-6, -5, 0, 1].map((more) => MIB + more),
    4 * MIB - 5,
    4 * MIB,
  ];
  for (const size of sizes) {
    const message = encodeMessage(bytesOf(size));
    const { data, trailers } = await within(10_000, `a message of ${size}`, client.call(METHOD, message));
    assert.equal(fieldValue(trailers, 'grpc-status'), '0', `size ${size}`);
    assert.equal(data.length, message.length, `size ${size}`);
    assert.ok(data.equals(message), `size ${size}`);
  }
  t.equal(sizes.length, 58);
});

behaviour(
  'a secondary that answers with far more than it is asked does not hold the call up',
  async (t, world) => {
    const much = Buffer.concat(Array(16).fill(encodeMessage(Buffer.alloc(MIB))));
    const answer =
      (body: Buffer): OnRequest =>
      async (request) => {
        await request.body();
        respond(request.stream, body);
      };
    const little = encodeMessage(Buffer.from('little'));
    const client = await setUp(world, answer(little), answer(much));
    const { data, trailers } = await within(10_000, 'the call', client.call(METHOD, little));
    t.equal(fieldValue(trailers, 'grpc-status'), '0');
    t.strictSame(data, little);
  },
);
