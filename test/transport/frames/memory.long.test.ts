import t from 'tap';
import { heldBytes } from '../../../lib/port/account.js';
import { Connection } from '../../../lib/transport/frames/connection.js';
import { FrameStream } from '../../../lib/transport/frames/stream/stream.js';
import { arrayBufferBytes } from '../../support/array-buffers.js';
import { countObjects } from '../../support/count-objects.js';
import { REQUEST } from '../../support/fields.js';
import { data, headers, resetStream, Setting } from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { Inbox, startServer } from './fixtures.js';

const MIB = 1024 * 1024;

for (const [what, each, step, most] of [
  ['256 KiB in full frames', 256 * 1024, 16384, 64 * MIB],
  ['256 KiB in small frames', 256 * 1024, 1000, 64 * MIB],
  // The blocks that they are gathered in grow to 16 KiB: up to twice as much as there is, at this size.
  ['16 KiB in frames of one octet', 16 * 1024, 1, 7 * MIB],
] as const) {
  t.test(`200 stalled streams of ${what} hold at most ${most / MIB} MiB`, async (t) => {
    const inbox = new Inbox(false);
    const { address } = await startServer(t, inbox);
    const peer = await FramePeer.client(address);
    t.teardown(() => peer.destroy());
    const before = await arrayBufferBytes();
    for (let i = 0; i < 200; i++) {
      const id = 2 * i + 1;
      const frames: Buffer[] = [headers(id, REQUEST)];
      for (let at = 0; at < each; at += step) frames.push(data(id, Buffer.alloc(Math.min(step, each - at))));
      peer.send(...frames);
      await peer.roundTrip();
      peer.frames.length = 0;
    }
    t.equal(heldBytes(), 200 * each);
    const held = (await arrayBufferBytes()) - before;
    t.ok(held <= most, `${(held / MIB).toFixed(1)} MiB`);
    for (const recorder of inbox.streams) recorder.stream.reset(8);
    t.equal(heldBytes(), 0);
  });
}

t.test('streams that are reset while their DATA waits for the connection window are let go of', async (t) => {
  const { address } = await startServer(t, {
    onStream(stream) {
      stream.sendHeaders([':status', '200'], false);
      stream.sendData(Buffer.alloc(70_000), false);
    },
  });
  const peer = await FramePeer.client(address, [Setting.INITIAL_WINDOW_SIZE, 100_000]);
  t.teardown(() => peer.destroy());
  // The first one takes the connection's window, and stays.
  peer.send(headers(1, REQUEST));
  for (let i = 1; i <= 1000; i++) peer.send(headers(2 * i + 1, REQUEST), resetStream(2 * i + 1, 8));
  await peer.roundTrip();
  const streams = countObjects(FrameStream);
  t.ok(streams <= 10, `${streams} streams`);
  t.ok(heldBytes() <= 10_000);
});

t.test('connections that ended on an error are not kept once their sockets are closed', async (t) => {
  const { address } = await startServer(t, new Inbox());
  for (let i = 0; i < 10; i++) {
    const peer = await FramePeer.client(address);
    peer.send(data(0, ''));
    t.equal(await peer.goAwayCode(), 1);
  }
  // This side's sockets close a few turns after the peers'. The last one may still be on the stack, or in a register.
  for (let turns = 0; turns < 50 && countObjects(Connection) > 1; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(countObjects(Connection) <= 1);
});
