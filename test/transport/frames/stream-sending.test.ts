import type { Socket } from 'node:net';
import t from 'tap';
import { REQUEST, RESPONSE, TRAILERS } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  Flag,
  FrameType,
  headers,
  resetStream,
  Setting,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Call, startBackend, startClient, startServer } from './fixtures.js';
import { length, openCall, openIncoming } from './stream-cases.js';

/** What the port promises of a stream, with a raw peer at its other end: what is sent. */

t.test('reset(NO_ERROR) behind END_STREAM goes out after everything that is queued', async (t) => {
  const { stream, peer } = await openIncoming(t, true);
  stream.sendHeaders(RESPONSE, false);
  stream.sendData(Buffer.alloc(100_000), false);
  stream.sendHeaders(TRAILERS, true);
  stream.reset(ErrorCode.NO_ERROR);
  await peer.roundTrip();
  t.strictSame(peer.objections, [], 'the window holds it back');
  peer.send(windowUpdate(0, 100_000), windowUpdate(1, 100_000));
  t.equal(await peer.resetCode(1), ErrorCode.NO_ERROR);
  const types = peer.frames.filter((f) => f.streamId === 1).map((f) => f.type);
  t.equal(types.at(-1), FrameType.HEADERS, 'trailers are the last frame before it');
  t.equal(length(peer, 1), 100_000);
});

t.test('reset with another code discards what is queued', async (t) => {
  const { stream, peer } = await openIncoming(t, true);
  stream.sendHeaders(RESPONSE, false);
  stream.sendData(Buffer.alloc(100_000), true);
  stream.reset(ErrorCode.INTERNAL_ERROR);
  t.equal(await peer.resetCode(1), ErrorCode.INTERNAL_ERROR);
  peer.send(windowUpdate(0, 100_000));
  await peer.roundTrip();
  t.ok(length(peer, 1) <= 65535);
});

t.test('RFC 9113 section 6.9.1: no more is sent than the windows allow', async (t) => {
  const { address } = await startServer(t, {
    onStream(stream) {
      stream.sendHeaders(RESPONSE, false);
      stream.sendData(Buffer.from('0123456789'), true);
    },
  });
  const peer = await FramePeer.client(address, [Setting.INITIAL_WINDOW_SIZE, 1]);
  t.teardown(() => peer.destroy());
  peer.send(headers(1, REQUEST, END));
  await peer.nextOf(1, FrameType.HEADERS);
  await peer.roundTrip();
  t.equal(length(peer, 1), 1);
  peer.send(windowUpdate(1, 4));
  await peer.roundTrip();
  t.equal(length(peer, 1), 5);
  peer.send(settings([Setting.INITIAL_WINDOW_SIZE, 100]));
  await peer.next((f) => f.type === FrameType.DATA && f.flags === Flag.END_STREAM);
});

t.test('RFC 9113 section 6.9.2: windows become negative, and are kept so', async (t) => {
  const { call, peer } = await openCall(t);
  call.stream.sendData(Buffer.alloc(50_000), false);
  await peer.next((f) => f.type === FrameType.DATA && f.payload.length < 16384);
  peer.send(settings([Setting.INITIAL_WINDOW_SIZE, 10]));
  await peer.roundTrip();
  peer.frames.length = 0;
  call.stream.sendData(Buffer.alloc(100), false);
  // The window is 10 - 50000, and 10 of it come back.
  peer.send(windowUpdate(1, 50_000));
  await peer.next((f) => f.type === FrameType.DATA && f.payload.length === 10);
  await peer.roundTrip();
  t.equal(length(peer, 1), 0);
});

t.test(
  'RFC 9113 section 6.5.2: SETTINGS_MAX_FRAME_SIZE bounds frames, and HEADERS are continued',
  async (t) => {
    const { stream, peer } = await openIncoming(t, true);
    stream.sendHeaders([...RESPONSE, 'x', 'y'.repeat(40_000)], false);
    stream.sendData(Buffer.alloc(40_000), true);
    await peer.next((f) => f.type === FrameType.DATA && f.flags === Flag.END_STREAM);
    t.ok(peer.frames.every((f) => f.payload.length <= 16384));
    t.equal(peer.frames.filter((f) => f.type === FrameType.CONTINUATION).length, 2);
    t.equal(length(peer, 1) + (40_000 % 16384), 40_000);
  },
);

t.test('RFC 7541 section 4.2: SETTINGS_HEADER_TABLE_SIZE is honoured with a size update', async (t) => {
  const { stream, peer } = await openIncoming(t, true);
  peer.send(settings([Setting.HEADER_TABLE_SIZE, 0]));
  await peer.roundTrip();
  stream.sendHeaders([':status', '200', 'x-a', 'b'], true);
  const { payload } = await peer.nextOf(1, FrameType.HEADERS);
  t.equal(payload.toString('hex', 0, 2), '2088', 'an update to 0, then :status 200');
  t.equal((payload[2]! & 0xc0) >> 6, 0, 'and no entry for x-a');
});

t.test('RFC 7541 section 4.2: the smallest of several table sizes in one frame is told, too', async (t) => {
  const { stream, peer } = await openIncoming(t, true);
  peer.send(settings([Setting.HEADER_TABLE_SIZE, 0], [Setting.HEADER_TABLE_SIZE, 4096]));
  await peer.roundTrip();
  stream.sendHeaders([':status', '200'], true);
  const { payload } = await peer.nextOf(1, FrameType.HEADERS);
  t.equal(payload.toString('hex'), '203fe11f88', 'updates to 0 and to 4096, then :status 200');
});

t.test('sendData says when to hold back, and onDrain when to go on', async (t) => {
  const { call, peer } = await openCall(t);
  t.ok(call.stream.sendData(Buffer.alloc(65_535), false), 'the window takes it all');
  t.notOk(call.stream.sendData(Buffer.alloc(100_000), false));
  await peer.roundTrip();
  t.equal(call.drained, 0);
  peer.send(windowUpdate(0, 1 << 20), windowUpdate(1, 50_000));
  await peer.roundTrip();
  t.equal(call.drained, 0, 'still 50000 queued');
  peer.send(windowUpdate(1, 50_000));
  await call.until((c) => c.drained === 1);
  await peer.roundTrip();
  t.equal(length(peer, 1), 165_535);
});

t.test('a queued chunk is sent as it was, and never written to', async (t) => {
  const { call, peer } = await openCall(t);
  const chunk = Buffer.alloc(100_000, 'abc');
  call.stream.sendData(chunk, true);
  peer.send(windowUpdate(0, 1 << 20), windowUpdate(1, 1 << 20));
  await peer.next((f) => f.flags === Flag.END_STREAM && f.type === FrameType.DATA);
  t.ok(chunk.equals(Buffer.alloc(100_000, 'abc')));
});

t.test('streams take turns', async (t) => {
  const server = await startBackend(t);
  const transport = startClient(t, server.target);
  const calls = [new Call(transport), new Call(transport)];
  const peer = await (await server.accept()).exchangePrefaces();
  await peer.nextHeaders(1);
  for (const call of calls) call.stream.sendData(Buffer.alloc(500_000), true);
  await peer.roundTrip();
  peer.frames.length = 0;
  peer.send(windowUpdate(1, 1 << 20), windowUpdate(3, 1 << 20), windowUpdate(0, 1 << 20));
  await peer.next((f) => f.type === FrameType.DATA && f.flags === Flag.END_STREAM && f.streamId === 3);
  const ids = peer.frames.filter((f) => f.type === FrameType.DATA).map((f) => f.streamId);
  const half = ids.slice(0, 24);
  t.ok(Math.abs(half.filter((id) => id === 1).length - 12) <= 2, half.join());
});

t.test('a stream whose window is shut stalls no other', async (t) => {
  const { call, peer, transport } = await openCall(t);
  call.stream.sendData(Buffer.alloc(200_000), false);
  peer.send(windowUpdate(0, 1 << 20));
  await peer.roundTrip();
  const other = new Call(transport);
  other.stream.sendData(Buffer.alloc(10), true);
  const { payload } = await peer.nextOf(3, FrameType.DATA);
  t.equal(payload.length, 10);
});

t.test('request headers and body leave in one write', async (t) => {
  const { peer, transport } = await openCall(t);
  const writes: Buffer[] = [];
  peer.socket.on('data', (chunk: Buffer) => writes.push(chunk));
  const call = new Call(transport);
  call.stream.sendData(Buffer.from('body'), true);
  await peer.nextOf(3, FrameType.DATA);
  t.equal(writes.length, 1);
});

t.test('the receiver is not called from inside openStream, sendHeaders or sendData', async (t) => {
  const { call, peer } = await openCall(t);
  peer.send(headers(1, RESPONSE), data(1, '61'), headers(1, TRAILERS, END));
  const before = call.events.length;
  call.stream.sendData(Buffer.alloc(200_000), false);
  t.equal(call.events.length, before);
  await call.until((c) => c.ended);
});

t.test('half-closing with trailers keeps the data before them', async (t) => {
  const { stream, peer } = await openIncoming(t, true);
  stream.sendHeaders(RESPONSE, false);
  stream.sendData(Buffer.alloc(70_000), false);
  stream.sendHeaders(TRAILERS, true);
  await peer.nextHeaders(1);
  peer.send(windowUpdate(0, 70_000), windowUpdate(1, 70_000));
  t.strictSame(await peer.nextHeaders(1), TRAILERS);
  t.equal(length(peer, 1), 70_000);
});

t.test('RFC 9113 section 6.4: what is sent on a stream that the peer has reset is dropped', async (t) => {
  const { stream, peer, recorder } = await openIncoming(t, true);
  peer.send(resetStream(1, 8));
  await recorder.done();
  stream.sendHeaders(RESPONSE, false);
  t.ok(stream.sendData(Buffer.alloc(10), true));
  stream.reset(8);
  await peer.roundTrip();
  t.strictSame(
    peer.frames.filter((f) => f.streamId === 1),
    [],
  );
});

t.test('a peer that sends requests and reads no answers is not read on', async (t) => {
  let streams = 0;
  let socket: Socket | undefined;
  const { address } = await startServer(t, {
    onStream(stream) {
      streams++;
      socket = stream.socket;
      stream.sendHeaders([...RESPONSE, 'x', 'y'.repeat(10_000)], true);
    },
  });
  const peer = await FramePeer.client(address);
  peer.socket.pause();
  const count = 5000;
  peer.send(...Array.from({ length: count }, (_, i) => headers(2 * i + 1, REQUEST, END)));
  while (!socket?.isPaused()) await new Promise((resolve) => setImmediate(resolve));
  t.ok(streams < count, `${streams} requests have been read`);
  peer.socket.resume();
  await peer.nextOf(2 * count - 1, FrameType.HEADERS);
  t.equal(streams, count, 'and in the end all of them');
  t.strictSame(peer.objections, []);
  peer.destroy();
});

t.test('RFC 9113 section 6.9.1: the connection window bounds all streams together', async (t) => {
  const { call, peer, transport } = await openCall(t);
  peer.send(windowUpdate(1, 1 << 20), settings([Setting.INITIAL_WINDOW_SIZE, 1 << 20]));
  await peer.roundTrip();
  const other = new Call(transport);
  call.stream.sendData(Buffer.alloc(50_000), true);
  other.stream.sendData(Buffer.alloc(50_000), true);
  await peer.roundTrip();
  t.equal(length(peer, 1) + length(peer, 3), 65_535);
  peer.send(windowUpdate(0, 34_465));
  await peer.next((f) => f.type === FrameType.DATA && f.streamId === 3 && f.flags === Flag.END_STREAM);
});
