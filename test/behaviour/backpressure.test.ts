import { createHash, randomFillSync } from 'node:crypto';
import type { ClientHttp2Stream, Http2Stream, ServerHttp2Stream } from 'node:http2';
import { type Destination, encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const MIB = 1024 * 1024;
/** Far more than all windows and buffers between client and backend may hold. */
const HELD_MAX = 4 * MIB;
const HUGE = encodeMessage(randomFillSync(Buffer.allocUnsafe(64 * MIB)));
const LARGE = encodeMessage(randomFillSync(Buffer.allocUnsafe(8 * MIB)));

for (const [slow, body] of [
  ['primary', HUGE],
  ['secondary', LARGE],
] as const) {
  behaviour(`a ${slow} that does not read holds the client back`, async (t, world) => {
    let stuck!: ServerHttp2Stream;
    let arrived!: () => void;
    const arrival = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const hashes: Promise<string>[] = [];
    const reading = await world.http2Backend(({ stream }) => {
      hashes.push(hash(stream));
      stream.once('end', () => respond(stream));
    });
    const notReading = await world.http2Backend(({ stream }) => {
      stuck = stream;
      stream.once('end', () => respond(stream));
      arrived();
    });
    const destinations: Destination[] = [
      { conn: world.dial(reading.port) },
      { conn: world.dial(notReading.port) },
    ];
    if (slow === 'primary') destinations.reverse();
    const proxy = await world.proxy(() => ({ primary: destinations[0]!, secondaries: [destinations[1]!] }));
    const stream = world.http2Client(proxy.port).open(METHOD);
    const response = collectResponse(stream);
    const before = memory();
    const pouring = pour(stream, body);
    await arrival;
    await standstill(() => pouring.sent);
    t.ok(pouring.sent < HELD_MAX, `${pouring.sent} bytes went`);
    const grown = memory() - before;
    t.ok(grown < 4 * HELD_MAX, `${grown} bytes of memory`);
    hashes.push(hash(stuck));
    t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
    t.same(await Promise.all(hashes), [digest(body), digest(body)]);
  });
}

behaviour('a client that does not read holds the primary back, and nobody else', async (t, world) => {
  let pouring!: { sent: number };
  const primary = await world.http2Backend(({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    pouring = pour(stream, LARGE);
  });
  let secondaryEnded!: () => void;
  const secondaryEnd = new Promise<void>((resolve) => {
    secondaryEnded = resolve;
  });
  const secondary = await world.http2Backend(({ stream }) => {
    respond(stream, encodeMessage(Buffer.alloc(6 * MIB)));
    stream.once('close', secondaryEnded);
  });
  const [conn, other] = [world.dial(primary.port), world.dial(secondary.port)];
  const proxy = await world.proxy(() => ({ primary: { conn }, secondaries: [{ conn: other }] }));
  const client = world.http2Client(proxy.port);
  const stream = client.open(METHOD);
  stream.end(encodeMessage(Buffer.from('request')));
  await new Promise((resolve) => stream.once('response', resolve));
  const before = memory();
  await secondaryEnd;
  await standstill(() => pouring.sent);
  t.ok(pouring.sent < HELD_MAX, `${pouring.sent} bytes went`);
  const grown = memory() - before;
  t.ok(grown < 4 * HELD_MAX, `${grown} bytes of memory`);
  let trailers: string[] | undefined;
  stream.once('trailers', (_trailers, _flags, ...rest) => {
    trailers = (rest as unknown as [string[]])[0];
  });
  t.equal(await hash(stream), digest(LARGE));
  t.same(trailers, ['grpc-status', '0']);
});

behaviour('a call that is held back does not hold back others on its connections', async (t, world) => {
  let stuck!: ServerHttp2Stream;
  let arrived!: () => void;
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const backend = await world.http2Backend(({ stream, headers }) => {
    if (headers['x-stuck'] === undefined) {
      stream.resume();
      stream.once('end', () => respond(stream, encodeMessage(Buffer.alloc(MIB))));
      return;
    }
    stuck = stream;
    stream.once('end', () => respond(stream));
    arrived();
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  const stream = client.open(METHOD, { 'x-stuck': '1' });
  const response = collectResponse(stream);
  const pouring = pour(stream, LARGE);
  await arrival;
  await standstill(() => pouring.sent);
  const other = await client.call(METHOD, encodeMessage(Buffer.alloc(MIB)));
  t.equal(fieldValue(other.trailers, 'grpc-status'), '0');
  t.equal(other.data.length, MIB + 5);
  t.ok(pouring.sent < HELD_MAX);
  stuck.resume();
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
});

/** Writes it chunk by chunk as there is room, and ends. */
function pour(stream: ClientHttp2Stream | ServerHttp2Stream, body: Buffer): { sent: number } {
  const progress = { sent: 0 };
  const chunk = 64 * 1024;
  const go = (): void => {
    while (progress.sent < body.length) {
      const part = body.subarray(progress.sent, progress.sent + chunk);
      progress.sent += part.length;
      if (!stream.write(part)) {
        stream.once('drain', go);
        return;
      }
    }
    stream.end();
  };
  go();
  return progress;
}

/** Resolves when the value has not changed for a while. */
async function standstill(value: () => number): Promise<void> {
  for (let last = -1; last !== value(); ) {
    last = value();
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

function memory(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Reads a stream to its end. */
function hash(stream: Http2Stream): Promise<string> {
  const sum = createHash('sha256');
  stream.on('data', (chunk: Buffer) => sum.update(chunk));
  return new Promise((resolve) => stream.once('end', () => resolve(sum.digest('hex'))));
}
