import t from 'tap';
import { Code, dial } from '../../lib/index.js';
import { waitingBehaviour as behaviour, type World } from '../support/behaviour.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import { END, ErrorCode, Flag, FrameType, frame, headers, settings } from '../support/frame.js';
import type { FrameBackend } from '../support/frame-backend.js';
import type { FramePeer } from '../support/frame-peer.js';
import { ownTime } from '../support/own-time.js';
import { ProcessEvents } from '../support/process-events.js';
import { MESSAGE, METHOD, message, proxied, status } from '../support/unary.js';
import { within } from '../support/within.js';

/** What a look too late may add. */
const TOLERANCE = 400;

const KEEPALIVE = { timeMilliseconds: 400, timeoutMilliseconds: 400 };
const SUM = 800;

const ANSWER = [...RESPONSE, ...TRAILERS];

/** A backend that acknowledges what it must, and answers nothing by itself; and a client of a proxy to it. */
async function toSilent(world: World, keepalive: { withoutCalls?: boolean; timeMilliseconds?: number } = {}) {
  const backend = await world.frameBackend((connection) => connection.send(settings()));
  const conn = world.dial(backend.port, { limits: { keepalive: { ...KEEPALIVE, ...keepalive } } });
  return { backend, conn, client: await proxied(world, { conn }) };
}

/** Whether a frame asks for an answer from who only lives: a PING, or SETTINGS that are not the first. */
function asked(peer: FramePeer): number {
  const asks = ({ type, flags }: { type: number; flags: number }): boolean =>
    (type === FrameType.PING || type === FrameType.SETTINGS) && (flags & Flag.ACK) === 0;
  return peer.frames.filter(asks).length - 1;
}

async function accepted(backend: FrameBackend): Promise<FramePeer> {
  const peer = await backend.accept();
  await peer.first(1, FrameType.HEADERS);
  return peer;
}

/** The milliseconds until a promise is settled, of those in which this process, where everybody is, got its turns. */
async function duration(promise: Promise<unknown>): Promise<number> {
  const start = ownTime();
  await within(15_000, 'the end', promise);
  return ownTime() - start;
}

behaviour('a backend that stands still is found within time and timeout', async (t, world) => {
  const { backend, client } = await toSilent(world);
  const call = client.call(METHOD, MESSAGE);
  const peer = await accepted(backend);
  peer.acknowledges = false;
  const taken = await duration(call);
  t.ok(taken < SUM + TOLERANCE, `${taken} ms`);
  t.equal(status(await call), String(Code.UNAVAILABLE));
  t.match(message(await call), /keepalive/);
});

behaviour('also one that stands still after it has answered for long', async (t, world) => {
  const { backend, client } = await toSilent(world);
  const call = client.call(METHOD, MESSAGE);
  const peer = await accepted(backend);
  // No frame of a stream has come since the first: a second PING would be a strike to gRPC servers.
  await peer.until(() => asked(peer) === 3);
  t.equal(peer.of(0, FrameType.PING).length, 1);
  peer.acknowledges = false;
  const taken = await duration(call);
  t.ok(taken < SUM + TOLERANCE, `${taken} ms`);
  t.match(message(await call), /keepalive/);
});

behaviour('one that stands still while nothing runs is asked at once by the next call', async (t, world) => {
  const { backend, client } = await toSilent(world);
  const first = client.call(METHOD, MESSAGE);
  const peer = await accepted(backend);
  peer.send(headers(1, ANSWER, END));
  t.equal(status(await first), '0');
  peer.acknowledges = false;
  await new Promise((resolve) => setTimeout(resolve, SUM));
  t.equal(asked(peer), 0, 'nothing depends on it');
  const call = client.call(METHOD, MESSAGE);
  const taken = await duration(call);
  t.ok(taken < KEEPALIVE.timeoutMilliseconds + TOLERANCE, `${taken} ms`);
  t.match(message(await call), /keepalive/);
});

behaviour('also by calls that are given up before it is due to answer', async (t, world) => {
  const { backend, client, conn } = await toSilent(world);
  conn.connect();
  const peer = await backend.accept();
  // Else the deadline of the first call could pass before there is a connection, and the backend would hear of none.
  await conn.waitForStateChange('CONNECTING');
  peer.acknowledges = false;
  const start = ownTime();
  while (!peer.isClosed && ownTime() - start < 5000) {
    await client.call(METHOD, MESSAGE, { 'grpc-timeout': '100m' });
  }
  const taken = ownTime() - start;
  t.ok(taken < SUM + TOLERANCE + 100, `${taken} ms`);
});

behaviour('withoutCalls: a backend is asked also while nothing runs', async (t, world) => {
  const { backend, conn } = await toSilent(world, { withoutCalls: true });
  conn.connect();
  const peer = await backend.accept();
  await peer.until(() => asked(peer) === 2);
  t.equal(peer.of(0, FrameType.PING).length, 1);
  t.equal(conn.state.name, 'READY');
  peer.acknowledges = false;
  const taken = await duration(conn.waitForStateChange('READY'));
  t.ok(taken < SUM + TOLERANCE, `${taken} ms`);
  await peer.closed;
});

/** GOAWAY as gRPC servers send it to who asks too often. */
const TOO_MANY_PINGS = frame(
  FrameType.GOAWAY,
  0,
  0,
  Buffer.concat([
    Buffer.from([0, 0, 0, 1, 0, 0, 0, ErrorCode.ENHANCE_YOUR_CALM]),
    Buffer.from('too_many_pings'),
  ]),
);

behaviour('too_many_pings doubles the time for further connections', async (t, world) => {
  const { warnings } = new ProcessEvents(t);
  const { backend, client } = await toSilent(world);
  const times: number[] = [];
  const ownTimes: number[] = [];
  for (const _ of [1, 2]) {
    const call = client.call(METHOD, MESSAGE);
    const peer = await accepted(backend);
    const start = performance.now();
    ownTimes.push(await duration(peer.first(0, FrameType.PING)));
    times.push(performance.now() - start);
    peer.send(TOO_MANY_PINGS);
    t.equal(status(await call), String(Code.UNAVAILABLE));
    await peer.closed;
  }
  // At most a look, half of the time, too early.
  t.ok(times[1]! > 590 && ownTimes[1]! < 800 + TOLERANCE, `${times} ms, of them ${ownTimes}`);
  const told = warnings.filter((text) => text.includes(`:${backend.port} says`));
  t.match(told, [/says too_many_pings: .* after 800 ms/, /says too_many_pings: .* after 1600 ms/]);
  t.equal(told.length, 2);
});

t.test('a time below 10 s is a warning, once for each dial', async (t) => {
  const events = new ProcessEvents(t);
  for (const timeMilliseconds of [1000, 9999, 10_000, Number.POSITIVE_INFINITY]) {
    dial('127.0.0.1:1', { limits: { keepalive: { timeMilliseconds } } }).destroy();
  }
  await events.settled();
  const told = events.warnings.filter((text) => text.startsWith('127.0.0.1:1 '));
  t.match(told, [/is asked after 1000 ms/, /is asked after 9999 ms/]);
  t.equal(told.length, 2);
});
