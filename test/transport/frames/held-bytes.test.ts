import t from 'tap';
import { heldBytes } from '../../../lib/port/account.js';
import { eventually } from '../../support/eventually.js';
import { REQUEST } from '../../support/fields.js';
import { END, ErrorCode, FrameType, frame, headers } from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Echo, Inbox, startServer } from './fixtures.js';

const MIB = 1024 * 1024;

t.test("output that a peer doesn't read ends its connection above the share, and no other", async (t) => {
  let most = 0;
  const { address } = await startServer(
    t,
    {
      onStream(stream, _headers, ended) {
        most = Math.max(most, heldBytes());
        stream.sendHeaders([':status', '200', 'x-large', ended ? 'x'.repeat(60_000) : ''], true);
        stream.reset(ErrorCode.NO_ERROR);
      },
    },
    { limits: { maxHeldBytesPerConnection: MIB } },
  );
  const other = await FramePeer.client(address);
  t.teardown(() => other.destroy());
  const peer = await FramePeer.client(address);
  peer.socket.pause();
  // More than what the kernel takes for the two sockets.
  for (let i = 0; i < 400; i++) {
    peer.send(headers(2 * i + 1, REQUEST, END));
    if (i % 10 === 9) await other.roundTrip();
  }
  await eventually('output waits', () => most > MIB / 2);
  await eventually('the end of the connection', () => heldBytes() === 0);
  t.ok(most < 4 * MIB, `${most} bytes`);
  peer.socket.resume();
  await peer.closed;
  await other.roundTrip();
});

t.test('half a field block ends its connection above the share', async (t) => {
  const { address } = await startServer(t, Echo, { limits: { maxHeldBytesPerConnection: 50_000 } });
  const peer = await FramePeer.client(address);
  const fragment = Buffer.alloc(16_384);
  peer.send(frame(FrameType.HEADERS, 0, 1, fragment), frame(FrameType.CONTINUATION, 0, 1, fragment));
  t.equal(await peer.goAwayCode(), ErrorCode.ENHANCE_YOUR_CALM);
  await eventually('nothing is held', () => heldBytes() === 0);
});

t.test('half field blocks of many connections end the largest above the bound of the process', async (t) => {
  const limits = { maxHeldBytes: MIB };
  const { address } = await startServer(t, new Inbox(), { limits });
  const peers: FramePeer[] = [];
  for (let i = 0; i < 40; i++) {
    const peer = await FramePeer.client(address);
    t.teardown(() => peer.destroy());
    peers.push(peer);
    const fragment = Buffer.alloc(16_384);
    // The first one has less.
    const more =
      i === 0 ? [] : Array.from({ length: 2 }, () => frame(FrameType.CONTINUATION, 0, 1, fragment));
    peer.send(frame(FrameType.HEADERS, 0, 1, fragment), ...more);
  }
  const ended = () => peers.filter(({ isClosed }) => isClosed).length;
  await eventually('the bound is kept', () => ended() > 0 && heldBytes() <= MIB);
  t.ok(ended() < peers.length);
  t.equal(peers[0]!.isClosed, false);
  for (const peer of peers) peer.destroy();
  await eventually('nothing is held', () => heldBytes() === 0);
});
