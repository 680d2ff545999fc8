import t from 'tap';
import type { ServerLimits } from '../../../lib/transport/limits.js';
import { REQUEST } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  goAway,
  headers,
  PING,
  resetStream,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { fieldBlock } from '../../support/hpack.js';
import { assertExpectation, requestWith } from './conformance-cases.js';
import { Call, Echo, Inbox, startBackend, startClient, startServer } from './fixtures.js';
import { openCall } from './stream-cases.js';

const calm = { connection: ErrorCode.ENHANCE_YOUR_CALM };

function times(count: number, make: (i: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

function rapidReset(count: number): Buffer[] {
  return times(count, (i) => Buffer.concat([headers(2 * i + 1, REQUEST, END), resetStream(2 * i + 1, 8)]));
}

/** A field block with END_STREAM, in as few frames as it needs. */
function continued(streamId: number, block: Buffer): Buffer[] {
  const last = Math.ceil(block.length / 16384) - 1;
  return times(last + 1, (i) =>
    frame(
      i === 0 ? FrameType.HEADERS : FrameType.CONTINUATION,
      (i === 0 ? Flag.END_STREAM : 0) | (i === last ? Flag.END_HEADERS : 0),
      streamId,
      block.subarray(16384 * i, 16384 * (i + 1)),
    ),
  );
}

/** RFC 9113 section 10.5: what a peer makes this side do for nothing is bounded. */
const floods: readonly [string, Buffer[], Partial<ServerLimits>?][] = [
  ['PING', times(60000, () => PING)],
  ['PING acknowledgements', times(60000, () => frame(FrameType.PING, Flag.ACK, 0, '00'.repeat(8)))],
  [
    'PING behind many frames that were of use',
    [headers(1, REQUEST), ...times(20000, () => data(1, '00')), ...times(60000, () => PING)],
  ],
  ['SETTINGS acknowledgements', times(60000, () => SETTINGS_ACK)],
  ['RST_STREAM on a closed stream', [headers(1, REQUEST), ...times(60000, () => resetStream(1, 8))]],
  ['GOAWAY', [headers(1, REQUEST), ...times(60000, () => goAway(0, 0))]],
  ['SETTINGS', times(300, () => settings())],
  ['empty DATA', [headers(1, REQUEST), ...times(60000, () => data(1, ''))]],
  ['PRIORITY', times(60000, () => frame(FrameType.PRIORITY, 0, 1, '0000000000'))],
  ['WINDOW_UPDATE', [headers(1, REQUEST), ...times(60000, () => windowUpdate(1, 1))]],
  ['frames of unknown type', times(60000, () => frame(0x77, 0, 1))],
  ['stream errors', times(1500, (i) => headers(2 * i + 1, ['a', 'b'], END))],
  ['empty CONTINUATION', [headers(1, REQUEST, 0), ...times(100, () => frame(FrameType.CONTINUATION, 0, 1))]],
  [
    'CONTINUATION without end',
    [headers(1, REQUEST, 0), ...times(20, () => frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(16384)))],
  ],
];

for (const [name, frames, limits] of floods) {
  t.test(`a flood of ${name} ends in ENHANCE_YOUR_CALM`, async (t) => {
    const { address } = await startServer(t, new Inbox(), { limits });
    const peer = await FramePeer.client(address);
    t.teardown(() => peer.destroy());
    peer.send(...frames);
    await assertExpectation(t, peer, calm);
  });
}

t.test('honest peers are not taken for floods', async (t) => {
  const { address } = await startServer(t, Echo);
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  peer.send(...rapidReset(1500));
  peer.send(
    ...times(6000, (i) => {
      const id = 3001 + 2 * i;
      return Buffer.concat([
        headers(id, REQUEST),
        windowUpdate(id, 1),
        windowUpdate(0, 1),
        PING,
        data(id, '', 1),
      ]);
    }),
  );
  await peer.nextOf(3001 + 2 * 5999, FrameType.HEADERS);
  await assertExpectation(t, peer, 'fine');
});

t.test('a header list above the limit ends its stream, and the connection goes on', async (t) => {
  const { address } = await startServer(t);
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  const block = fieldBlock(requestWith('x', 'y'.repeat(70_000)));
  peer.send(...continued(1, block));
  await assertExpectation(t, peer, { stream: 1, code: ErrorCode.ENHANCE_YOUR_CALM });
  peer.send(headers(3, REQUEST, END));
  await peer.nextOf(3, FrameType.HEADERS);
});

t.test('trailers above the limit end their stream, and the connection goes on', async (t) => {
  const inbox = new Inbox();
  const { address } = await startServer(t, inbox);
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  peer.send(headers(1, REQUEST), ...continued(1, fieldBlock(['x', 'y'.repeat(70_000)])));
  await assertExpectation(t, peer, { stream: 1, code: ErrorCode.ENHANCE_YOUR_CALM });
  t.equal((await inbox.at(0)).resetCode, ErrorCode.ENHANCE_YOUR_CALM);
});

t.test('a response above the limit ends its call, and the connection goes on', async (t) => {
  const { call, peer } = await openCall(t);
  peer.send(...continued(1, fieldBlock([':status', '200', 'x', 'y'.repeat(70_000)])));
  await assertExpectation(t, peer, { stream: 1, code: ErrorCode.ENHANCE_YOUR_CALM });
  t.equal(call.resetCode, ErrorCode.ENHANCE_YOUR_CALM);
});

t.test('a header list just below the limit is delivered', async (t) => {
  const inbox = new Inbox();
  const { address } = await startServer(t, inbox);
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  const block = fieldBlock(requestWith('x', 'y'.repeat(65_000)));
  peer.send(...continued(1, block));
  t.equal((await inbox.at(0)).headers?.at(-1)?.length, 65_000);
});

t.test('a peer that never sends its preface is dropped', async (t) => {
  const { address } = await startServer(t, Echo, { limits: { handshakeTimeoutMilliseconds: 20 } });
  const peer = await FramePeer.connect(address);
  t.equal(await peer.goAwayCode(), ErrorCode.ENHANCE_YOUR_CALM);
});

t.test('a field block that is never finished ends the connection', async (t) => {
  const { address } = await startServer(t, Echo, { limits: { frameTimeoutMilliseconds: 50 } });
  const peer = await FramePeer.client(address);
  peer.send(headers(1, REQUEST, 0));
  t.equal(await peer.goAwayCode(), ErrorCode.ENHANCE_YOUR_CALM);
});

t.test('RFC 9113 section 6.5.3: SETTINGS that are never acknowledged end in SETTINGS_TIMEOUT', async (t) => {
  const { address } = await startServer(t, Echo, { limits: { settingsTimeoutMilliseconds: 20 } });
  const peer = await FramePeer.connect(address);
  peer.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings());
  t.equal(await peer.goAwayCode(), ErrorCode.SETTINGS_TIMEOUT);
});

t.test('an idle connection is closed after the idle timeout, and no other', async (t) => {
  const inbox = new Inbox();
  const { address } = await startServer(t, inbox, { limits: { idleTimeoutMilliseconds: 30 } });
  const busy = await FramePeer.client(address);
  busy.send(headers(1, REQUEST, END));
  const idle = await FramePeer.client(address);
  await idle.nextOf(0, FrameType.GOAWAY);
  await idle.closed;
  await busy.roundTrip();
  t.strictSame(busy.objections, []);
  busy.destroy();
});

const keepalive = { timeMilliseconds: 20, timeoutMilliseconds: 20 };
const probing = { keepalive };

t.test('a server that answers no PING loses its calls', async (t) => {
  const server = await startBackend(t);
  const call = new Call(startClient(t, server.target, { limits: probing }));
  const peer = await (await server.accept()).exchangePrefaces();
  await peer.nextOf(0, FrameType.PING);
  await call.done();
  t.equal(call.resetCode, ErrorCode.CANCEL);
  t.ok(call.isLost);
});

t.test(
  'a server that answers keeps its calls, and gets no second PING without a frame of a stream, but SETTINGS',
  async (t) => {
    const server = await startBackend(t);
    const call = new Call(startClient(t, server.target, { limits: probing }));
    const peer = await (await server.accept()).exchangePrefaces();
    peer.acknowledges = true;
    await peer.nextOf(0, FrameType.PING);
    for (let i = 0; i < 3; i++) await peer.nextOf(0, FrameType.SETTINGS);
    t.strictSame(
      peer.frames.filter((f) => f.type === FrameType.PING),
      [],
    );
    t.equal(call.resetCode, -1);
    peer.send(headers(1, [':status', '200']));
    await peer.nextOf(0, FrameType.PING);
  },
);

t.test('a PING whose answer waits because this process stood still has been answered', async (t) => {
  const server = await startBackend(t);
  const call = new Call(startClient(t, server.target, { limits: probing }));
  const peer = await (await server.accept()).exchangePrefaces();
  for (let i = 0; i < 3; i++) {
    const ping = await peer.nextOf(0, FrameType.PING);
    peer.send(frame(FrameType.PING, Flag.ACK, 0, ping.payload), headers(1, [':status', '103']));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  await peer.nextOf(0, FrameType.PING);
  t.equal(call.resetCode, -1);
});

t.test('a server that never sends SETTINGS fails the connect', async (t) => {
  const server = await startBackend(t);
  const call = new Call(startClient(t, server.target, { limits: { connectTimeoutMilliseconds: 30 } }));
  await server.accept();
  t.match((await call.done()).end, { cause: 'settings', text: /within 30 ms/ });
});
