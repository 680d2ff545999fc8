import v8, { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import { heldBytes, hold, release } from '../../../lib/transport/frames/held-bytes.js';
import { ServerConnection } from '../../../lib/transport/frames/server-connection.js';
import { Inbox, startServer } from './fixtures.js';
import { data, headers, RawPeer, REQUEST } from './raw-peer.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MIB = 1024 * 1024;

async function arrayBufferBytes(): Promise<number> {
  // Twice, with a turn in between: array buffers are swept after the collection that finds them dead.
  for (let i = 0; i < 2; i++) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().arrayBuffers;
}

for (const [what, each, step, most] of [
  ['256 KiB in full frames', 256 * 1024, 16384, 64 * MIB],
  ['256 KiB in small frames', 256 * 1024, 1000, 64 * MIB],
  // The blocks that they are gathered in grow to 16 KiB: up to twice as much as there is, at this size.
  ['16 KiB in frames of one octet', 16 * 1024, 1, 7 * MIB],
] as const) {
  t.test(`200 stalled streams of ${what} hold at most ${most / MIB} MiB`, async (t) => {
    const inbox = new Inbox(false);
    const { address } = await startServer(t, inbox);
    const peer = await RawPeer.client(address);
    t.teardown(() => peer.close());
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

t.test(
  'above the process-wide bound, connection windows are credited only once there is room again',
  async (t) => {
    const inbox = new Inbox();
    const { address } = await startServer(t, inbox);
    const peer = await RawPeer.client(address);
    t.teardown(() => peer.close());
    const credits = () =>
      peer.frames.filter((f) => f.type === FrameType.WINDOW_UPDATE && f.streamId === 0).length;
    const before = credits();
    hold(256 * MIB);
    peer.send(headers(1, REQUEST), ...Array.from({ length: 16 }, () => data(1, Buffer.alloc(16384))));
    await peer.next((f) => f.type === FrameType.WINDOW_UPDATE && f.streamId === 1);
    peer.send(headers(3, REQUEST), ...Array.from({ length: 16 }, () => data(3, Buffer.alloc(16384))));
    peer.send(headers(5, REQUEST), data(5, '00', Flag.END_STREAM));
    await (await inbox.at(2)).until((r) => r.ended);
    await peer.roundTrip();
    t.equal(credits(), before, '512 KiB have been received, and nothing is credited');
    release(256 * MIB);
    const { payload } = await peer.next(
      (f) => f.type === FrameType.WINDOW_UPDATE && f.streamId === 0 && f.payload[1] === 8,
    );
    t.equal(payload.readUInt32BE(), 32 * 16384 + 1);
  },
);

t.test('connections that ended on an error are not kept once their sockets are closed', async (t) => {
  const { address } = await startServer(t, new Inbox());
  for (let i = 0; i < 10; i++) {
    const peer = await RawPeer.client(address);
    peer.send(data(0, ''));
    t.equal(await peer.goAwayCode(), 1);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Missing from the types; in Node since 20.13.
  const { queryObjects } = v8 as unknown as {
    queryObjects: (type: unknown, options: { format: 'count' }) => number;
  };
  // The last one may still be on the stack, or in a register.
  t.ok(queryObjects(ServerConnection, { format: 'count' }) <= 1);
});
