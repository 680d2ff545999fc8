import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { ErrorCode, Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import type { FramesClientOptions } from '../../../lib/transport/frames/index.js';
import { Setting } from '../../../lib/transport/frames/settings.js';
import { END } from './conformance-cases.js';
import { Call, Inbox, RawServer, REQUEST_HEADERS, startClient, startServer } from './fixtures.js';
import { data, headers, RawPeer, REQUEST, resetStream, settings, windowUpdate } from './raw-peer.js';

/** What the port promises of a stream, with a raw peer at its other end. */

const RESPONSE = [':status', '200'];
const TRAILERS = ['grpc-status', '0'];

/** A client's stream, and the raw server's end of its connection. */
async function openCall(t: Test, flowing = true, options: FramesClientOptions = {}) {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target, options);
  const call = new Call(transport, REQUEST_HEADERS, false, flowing);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  return { call, peer, transport, server };
}

async function openIncoming(t: Test, flowing: boolean, ...sent: Buffer[]) {
  const inbox = new Inbox(flowing);
  const { address, transport } = await startServer(t, inbox);
  const peer = await RawPeer.client(address);
  t.teardown(() => peer.close());
  peer.send(headers(1, REQUEST), ...sent);
  const recorder = await inbox.at(0);
  await peer.roundTrip();
  return { recorder, stream: recorder.stream, peer, inbox, transport };
}

t.test('a stream starts paused: HEADERS are delivered, DATA and the end are not', async (t) => {
  const { call, peer } = await openCall(t, false);
  peer.send(headers(1, RESPONSE), data(1, '6162'), headers(1, TRAILERS, END));
  await peer.roundTrip();
  t.strictSame(call.events, ['headers']);
  call.stream.resume();
  await call.done();
  t.strictSame(call.events, ['headers', 'data', 'headers+end']);
  t.strictSame(call.trailers, TRAILERS);
});

t.test('resume delivers nothing before it returns', async (t) => {
  const { call, peer } = await openCall(t, false);
  peer.send(headers(1, RESPONSE), data(1, '6162', Flag.END_STREAM));
  await peer.roundTrip();
  call.stream.resume();
  t.strictSame(call.events, ['headers']);
  await call.done();
  t.strictSame(call.events, ['headers', 'data', 'end']);
});

t.test('pause holds the end back, too, when there is no data before it', async (t) => {
  const { recorder, stream, peer } = await openIncoming(t, true);
  stream.pause();
  peer.send(data(1, '', Flag.END_STREAM));
  await peer.roundTrip();
  t.strictSame(recorder.events, []);
  stream.resume();
  await recorder.until((r) => r.ended);
  t.strictSame(recorder.events, ['end']);
});

t.test('a receiver that pauses inside onData gets no more', async (t) => {
  const { recorder, stream, peer } = await openIncoming(
    t,
    false,
    data(1, '61'),
    data(1, '62'.repeat(5000)),
    data(1, '63'),
  );
  let deliveries = 0;
  recorder.onData = (chunk) => {
    deliveries++;
    recorder.received += chunk.length;
    stream.pause();
    recorder.tell();
  };
  stream.resume();
  await recorder.until((r) => r.received > 0);
  await peer.roundTrip();
  t.equal(deliveries, 1);
  while (recorder.received < 5002) {
    const before = recorder.received;
    stream.resume();
    await recorder.until((r) => r.received > before);
  }
  t.equal(recorder.received, 5002);
});

t.test('RST_STREAM discards what is held, and is the last call', async (t) => {
  const { recorder, stream, peer } = await openIncoming(t, false, data(1, '6162'));
  peer.send(resetStream(1, ErrorCode.CANCEL));
  await recorder.until((r) => r.resetCode >= 0);
  stream.resume();
  await peer.roundTrip();
  t.strictSame(recorder.events, ['reset']);
  t.equal(recorder.resetCode, ErrorCode.CANCEL);
  t.notOk(recorder.connectionLost);
});

t.test('RST_STREAM(NO_ERROR) behind a complete response comes after all of it', async (t) => {
  const { call, peer } = await openCall(t, false);
  peer.send(headers(1, RESPONSE), data(1, '6162'), headers(1, TRAILERS, END), resetStream(1, 0));
  await peer.roundTrip();
  call.stream.resume();
  await call.until((c) => c.resetCode >= 0);
  t.strictSame(call.events, ['headers', 'data', 'headers+end', 'reset']);
});

t.test('RST_STREAM(NO_ERROR) behind half a response is told once that has been delivered', async (t) => {
  const { call, peer } = await openCall(t, false);
  call.stream.sendData(Buffer.alloc(0), true);
  peer.send(headers(1, RESPONSE), data(1, '6162'), resetStream(1, 0));
  await peer.roundTrip();
  call.stream.resume();
  await call.until((c) => c.received > 0);
  await peer.roundTrip();
  t.strictSame(call.events, ['headers', 'data', 'reset']);
});

t.test('a response that was complete when the connection was lost is delivered', async (t) => {
  const { call, peer } = await openCall(t, false);
  peer.send(headers(1, RESPONSE), data(1, '6162'), headers(1, TRAILERS, END));
  await call.until((c) => c.headers !== undefined);
  await peer.roundTrip();
  peer.close();
  await peer.closed;
  call.stream.resume();
  await call.until((c) => c.resetCode >= 0);
  t.strictSame(call.events, ['headers', 'data', 'headers+end', 'reset']);
  t.ok(call.connectionLost);
});

t.test('a lost connection is CANCEL with connectionLost, on both sides', async (t) => {
  const { call, peer } = await openCall(t);
  peer.close();
  await call.done();
  t.equal(call.resetCode, ErrorCode.CANCEL);
  t.ok(call.connectionLost);
  const incoming = await openIncoming(t, true);
  incoming.peer.close();
  await incoming.recorder.done();
  t.equal(incoming.recorder.resetCode, ErrorCode.CANCEL);
  t.ok(incoming.recorder.connectionLost);
});

t.test("nothing is delivered after this side's reset", async (t) => {
  const { call, peer } = await openCall(t);
  call.stream.reset(ErrorCode.CANCEL);
  peer.send(headers(1, RESPONSE), data(1, '00'), resetStream(1, 2));
  t.equal(await peer.resetCode(1), ErrorCode.CANCEL);
  await peer.roundTrip();
  t.strictSame(call.events, []);
  t.strictSame(peer.objections, [], 'and what was on its way is no error');
});

t.test('reset has no effect on a stream that has ended', async (t) => {
  const { call, peer } = await openCall(t);
  call.stream.sendData(Buffer.alloc(0), true);
  peer.send(headers(1, RESPONSE, END));
  await call.done();
  call.stream.reset(ErrorCode.CANCEL);
  await peer.roundTrip();
  t.strictSame(peer.objections, []);
});

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

function length(peer: RawPeer, streamId: number): number {
  return peer.frames
    .filter((f) => f.type === FrameType.DATA && f.streamId === streamId)
    .reduce((sum, f) => sum + f.payload.length, 0);
}

t.test('RFC 9113 section 6.9.1: no more is sent than the windows allow', async (t) => {
  const { address } = await startServer(t, {
    onStream(stream) {
      stream.sendHeaders(RESPONSE, false);
      stream.sendData(Buffer.from('0123456789'), true);
    },
  });
  const peer = await RawPeer.client(address, [Setting.INITIAL_WINDOW_SIZE, 1]);
  t.teardown(() => peer.close());
  peer.send(headers(1, REQUEST, END));
  await peer.nextOf(FrameType.HEADERS, 1);
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
  stream.sendHeaders([...RESPONSE, 'x-a', 'b'], true);
  const { payload } = await peer.nextOf(FrameType.HEADERS, 1);
  t.equal(payload.toString('hex', 0, 2), '2088', 'an update to 0, then :status 200');
  t.equal((payload[2]! & 0xc0) >> 6, 0, 'and no entry for x-a');
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
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const calls = [new Call(transport), new Call(transport)];
  const peer = await RawPeer.server(await server.accept());
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
  const { payload } = await peer.nextOf(FrameType.DATA, 3);
  t.equal(payload.length, 10);
});

t.test('streams whose receivers are paused stall no other', async (t) => {
  const inbox = new Inbox(false);
  const { address } = await startServer(t, inbox);
  const peer = await RawPeer.client(address);
  t.teardown(() => peer.close());
  // Ten full windows: more than the connection's.
  for (let i = 0; i < 10; i++) {
    const id = 2 * i + 1;
    peer.send(headers(id, REQUEST), ...Array.from({ length: 16 }, () => data(id, Buffer.alloc(16384))));
    await peer.roundTrip();
  }
  peer.send(headers(21, REQUEST), data(21, 'aabb', Flag.END_STREAM));
  const last = await inbox.at(10);
  last.stream.resume();
  await last.until((r) => r.ended);
  t.equal(last.received, 2);
  t.strictSame(peer.objections, []);
});

t.test('a consumed stream window is credited, a held one is not', async (t) => {
  const { recorder, stream, peer } = await openIncoming(
    t,
    false,
    ...Array.from({ length: 16 }, () => data(1, Buffer.alloc(16384))),
  );
  const credits = () =>
    peer.frames.filter((f) => f.type === FrameType.WINDOW_UPDATE && f.streamId === 1).length;
  t.equal(credits(), 0);
  stream.resume();
  await recorder.until((r) => r.received === 262144);
  await peer.roundTrip();
  t.ok(credits() > 0);
});

t.test(
  'many small DATA frames for a paused receiver cost about as much memory as they have bytes',
  async (t) => {
    const inbox = new Inbox(false);
    const { address } = await startServer(t, inbox);
    const peer = await RawPeer.client(address);
    t.teardown(() => peer.close());
    peer.send(headers(1, REQUEST));
    const recorder = await inbox.at(0);
    const burst = Buffer.concat(Array.from({ length: 5000 }, (_, i) => data(1, Buffer.from([i & 255]))));
    for (let i = 0; i < 10; i++) {
      peer.send(burst);
      await peer.roundTrip();
    }
    recorder.stream.resume();
    await recorder.until((r) => r.received === 50_000);
    t.ok(recorder.chunks.length < 20, 'they have been gathered');
    const whole = Buffer.concat(recorder.chunks);
    t.ok(whole.every((octet, i) => octet === ((i % 5000) & 255)));
  },
);

t.test('request headers and body leave in one write', async (t) => {
  const { peer, transport } = await openCall(t);
  const writes: Buffer[] = [];
  peer.socket.on('data', (chunk: Buffer) => writes.push(chunk));
  const call = new Call(transport);
  call.stream.sendData(Buffer.from('body'), true);
  await peer.nextOf(FrameType.DATA, 3);
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

t.test('what is sent on a stream that is gone is ignored', async (t) => {
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
  const peer = await RawPeer.client(address);
  peer.socket.pause();
  const count = 5000;
  peer.send(...Array.from({ length: count }, (_, i) => headers(2 * i + 1, REQUEST, END)));
  while (!socket?.isPaused()) await new Promise((resolve) => setImmediate(resolve));
  t.ok(streams < count, `${streams} requests have been read`);
  peer.socket.resume();
  await peer.nextOf(FrameType.HEADERS, 2 * count - 1);
  t.equal(streams, count, 'and in the end all of them');
  t.strictSame(peer.objections, []);
  peer.close();
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

t.test("a client's RST_STREAM(NO_ERROR) comes after the data before it", async (t) => {
  const { recorder, stream, peer } = await openIncoming(t, false, data(1, '6162'), resetStream(1, 0));
  t.strictSame(recorder.events, []);
  stream.resume();
  await recorder.until((r) => r.resetCode >= 0);
  t.strictSame(recorder.events, ['data', 'reset']);
  await peer.roundTrip();
});
