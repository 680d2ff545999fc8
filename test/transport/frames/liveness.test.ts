import t from 'tap';
import { REQUEST } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  FrameType,
  frame,
  headers,
  SETTINGS_ACK,
  Setting,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { fieldBlock } from '../../support/hpack.js';
import { Inbox, startServer } from './fixtures.js';

const MIB = 1024 * 1024;

/** Waits: the time is what the test is about. */
function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

t.test('a peer that reads slowly, and so answers no PING, is alive as long as output moves', async (t) => {
  const inbox = new Inbox();
  const keepalive = { timeMilliseconds: 400, timeoutMilliseconds: 400 };
  const { address } = await startServer(t, inbox, { limits: { keepalive } });
  const peer = await FramePeer.client(address, [Setting.INITIAL_WINDOW_SIZE, 2 ** 30]);
  t.teardown(() => peer.destroy());
  peer.send(headers(1, REQUEST, END), windowUpdate(0, 2 ** 30));
  const { stream } = await inbox.at(0);
  stream.sendHeaders([':status', '200'], false);
  stream.sendData(Buffer.alloc(24 * MIB), false);
  const { socket } = peer;
  socket.on('data', () => socket.pause());
  for (const startedAt = performance.now(); performance.now() - startedAt < 1500; ) {
    socket.resume();
    await pass(15);
  }
  t.equal(peer.isClosed, false);
  t.equal(inbox.streams[0]!.resetCode, -1);
});

const limits = { frameTimeoutMilliseconds: 60 };

for (const [what, bytes] of [
  ['the header of a frame', Buffer.alloc(5)],
  ['a SETTINGS frame', settings([Setting.MAX_FRAME_SIZE, 16384]).subarray(0, 12)],
  ['a HEADERS frame', headers(1, REQUEST).subarray(0, 30)],
  ['a field block', frame(FrameType.HEADERS, 0, 1, fieldBlock(REQUEST))],
] as const) {
  t.test(`${what} that is begun and not finished ends the connection`, async (t) => {
    const { address } = await startServer(t, new Inbox(), { limits });
    const peer = await FramePeer.client(address);
    t.teardown(() => peer.destroy());
    peer.send(bytes);
    t.equal(await peer.goAwayCode(), ErrorCode.ENHANCE_YOUR_CALM);
  });
}

t.test('DATA may take its time', async (t) => {
  const inbox = new Inbox();
  const { address } = await startServer(t, inbox, { limits });
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  const slow = data(1, Buffer.alloc(10), 1);
  peer.send(headers(1, REQUEST), slow.subarray(0, 15));
  const recorder = await inbox.at(0);
  await pass(200);
  peer.send(slow.subarray(15), SETTINGS_ACK);
  await recorder.done();
  t.equal(recorder.received, 10);
  t.strictSame(peer.objections, []);
});
