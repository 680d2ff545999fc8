import t from 'tap';
import { heldBytes } from '../../../lib/port/account.js';
import { REQUEST, RESPONSE, TRAILERS } from '../../support/fields.js';
import { data, END, ErrorCode, Flag, FrameType, headers, resetStream } from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Inbox, startServer } from './fixtures.js';
import { openCall, openIncoming } from './stream-cases.js';

/** What the port promises of a stream, with a raw peer at its other end: what is received. */

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
  t.notOk(recorder.isLost);
});

t.test(
  'RFC 9113 section 8.1: RST_STREAM(NO_ERROR) behind a complete response comes after all of it',
  async (t) => {
    const { call, peer } = await openCall(t, false);
    peer.send(headers(1, RESPONSE), data(1, '6162'), headers(1, TRAILERS, END), resetStream(1, 0));
    await peer.roundTrip();
    call.stream.resume();
    await call.until((c) => c.resetCode >= 0);
    t.strictSame(call.events, ['headers', 'data', 'headers+end', 'reset']);
  },
);

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
  peer.destroy();
  await peer.closed;
  call.stream.resume();
  await call.until((c) => c.resetCode >= 0);
  t.strictSame(call.events, ['headers', 'data', 'headers+end', 'reset']);
  t.ok(call.isLost);
});

t.test('a lost connection is CANCEL with isLost, on both sides', async (t) => {
  const { call, peer } = await openCall(t);
  peer.destroy();
  await call.done();
  t.equal(call.resetCode, ErrorCode.CANCEL);
  t.ok(call.isLost);
  const incoming = await openIncoming(t, true);
  incoming.peer.destroy();
  await incoming.recorder.done();
  t.equal(incoming.recorder.resetCode, ErrorCode.CANCEL);
  t.ok(incoming.recorder.isLost);
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

t.test('streams whose receivers are paused stall no other', async (t) => {
  const inbox = new Inbox(false);
  const { address } = await startServer(t, inbox);
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
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
    const peer = await FramePeer.client(address);
    t.teardown(() => peer.destroy());
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

t.test("a client's RST_STREAM(NO_ERROR) is told at once, and what is held is discarded", async (t) => {
  const { recorder } = await openIncoming(t, false, data(1, '6162'), resetStream(1, 0));
  t.strictSame(recorder.events, ['reset']);
  t.match(recorder.reset, { code: ErrorCode.NO_ERROR, by: 'peer' });
  t.equal(heldBytes(), 0);
});

t.test('half a response that waits behind RST_STREAM(NO_ERROR) ends with its connection', async (t) => {
  const { call, peer } = await openCall(t, false);
  peer.send(headers(1, RESPONSE), data(1, '6162'), resetStream(1, 0));
  await peer.roundTrip();
  t.strictSame(call.events, ['headers']);
  peer.destroy();
  await call.done();
  t.strictSame(call.events, ['headers', 'reset']);
  t.ok(call.isLost);
  t.equal(heldBytes(), 0);
});

t.test('what a receiver throws ends its stream alone, and is a warning', async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  t.teardown(() => process.off('warning', onWarning));
  const fail = (): never => {
    throw new TypeError('a bug');
  };
  const deliveries = {
    onHeaders: headers(1, TRAILERS, END),
    onData: data(1, '61'),
    onEnd: data(1, '', Flag.END_STREAM),
  };
  for (const paused of [false, true]) {
    for (const [method, sent] of Object.entries(deliveries)) {
      const { recorder, stream, peer } = await openIncoming(t, !paused);
      Object.assign(recorder, { [method]: fail });
      peer.send(sent);
      await peer.roundTrip();
      stream.resume();
      await recorder.until((r) => r.reset !== undefined);
      t.match(recorder.reset, { code: ErrorCode.INTERNAL_ERROR, by: 'local', text: /exception/ }, method);
      t.equal(await peer.resetCode(1), ErrorCode.INTERNAL_ERROR);
      await peer.roundTrip();
    }
  }
  const { recorder, peer } = await openIncoming(t, true);
  recorder.onReset = fail;
  peer.send(resetStream(1, 8));
  await peer.roundTrip();
  t.equal(warnings.filter(({ message }) => message === 'a bug').length, 7);
});

t.test('what an acceptor throws ends its stream alone', async (t) => {
  let streams = 0;
  const { address } = await startServer(t, {
    onStream() {
      if (++streams === 1) throw new TypeError('another bug');
    },
  });
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  peer.send(headers(1, REQUEST));
  t.equal(await peer.resetCode(1), ErrorCode.INTERNAL_ERROR);
  peer.send(headers(3, REQUEST));
  await peer.roundTrip();
  t.equal(streams, 2);
});
