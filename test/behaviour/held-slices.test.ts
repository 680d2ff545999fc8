import { encodeMessage, type StreamHandler, transparentHandler } from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { arrayBufferBytes } from '../support/array-buffers.js';
import { behaviour, type World } from '../support/behaviour.js';
import { requestTo } from '../support/fields.js';
import { data, FrameType, headers, Setting, settings } from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';

// A read of a socket brings DATA of many calls. What is held of one of them must not hold all of the read.

const MIB = 1024 * 1024;
const SINK = '/test.Sink/Take';
/** What comes with each small chunk, for a stream that takes it at once: about one read of the socket. */
const FILLER = Array.from({ length: 4 }, () => data(1, encodeMessage(Buffer.alloc(15_000))));

const sink: StreamHandler = async (stream) => {
  let taken = 0;
  for await (const message of stream) taken += message.length;
  if (taken === 0) throw new Error('nothing came');
};

/** A client with one stream to a handler that takes everything; other calls go to `held`. */
async function clientOf(world: World, held: StreamHandler): Promise<FramePeer> {
  const unknownServiceHandler: StreamHandler = (stream) =>
    stream.method === SINK ? sink(stream) : held(stream);
  const { port } = await world.serve({ unknownServiceHandler });
  const client = await world.frameClient(port);
  client.send(headers(1, requestTo(SINK)));
  await client.roundTrip();
  return client;
}

behaviour('messages that are peeked at hold about as much memory as they are long', async (t, world) => {
  const conn = world.dial(1);
  const held = transparentHandler(async (_ctx, _method, peeker) => {
    await peeker.peek(2);
    return { primary: { conn } };
  });
  const client = await clientOf(world, held);
  const before = await arrayBufferBytes();
  for (let i = 0; i < 150; i++) {
    const id = 3 + 2 * i;
    client.send(
      headers(id, requestTo('/test.Held/Peek')),
      data(id, encodeMessage(Buffer.alloc(10))),
      ...FILLER,
    );
    await client.roundTrip();
  }
  t.equal(heldBytes(), 150 * 15);
  const grown = (await arrayBufferBytes()) - before;
  t.ok(grown < 3 * MIB, `${grown} bytes`);
});

behaviour('what is kept for a retry holds about as much memory as is charged for it', async (t, world) => {
  const backend = await world.frameBackend((connection) => connection.send(settings()));
  const accepted = backend.accept();
  const conn = world.dial(backend.port);
  const client = await clientOf(
    world,
    transparentHandler(() => ({ primary: { conn } })),
  );
  const message = encodeMessage(Buffer.alloc(1000));
  client.send(headers(3, requestTo('/test.Held/Send')), data(3, message.subarray(0, 5)));
  await (await accepted).first(1, FrameType.DATA);
  const before = await arrayBufferBytes();
  for (let i = 0; i < 120; i++) {
    client.send(data(3, Buffer.alloc(1)), ...FILLER);
    await client.roundTrip();
  }
  const charged = heldBytes();
  t.ok(
    charged >= 120 * 100 && charged < 120 * 200,
    `${charged} are charged for the octets and their objects`,
  );
  const grown = (await arrayBufferBytes()) - before;
  t.ok(grown < 3 * MIB, `${grown} bytes`);
});

behaviour('what waits for a window holds about as much memory as it is long', async (t, world) => {
  const backend = await world.frameBackend((connection) =>
    connection.send(settings([Setting.INITIAL_WINDOW_SIZE, 0])),
  );
  const accepted = backend.accept();
  const conn = world.dial(backend.port);
  const client = await clientOf(
    world,
    transparentHandler(() => ({ primary: { conn } })),
  );
  client.send(
    headers(3, requestTo('/test.Held/Send')),
    data(3, encodeMessage(Buffer.alloc(1000)).subarray(0, 5)),
  );
  const connection = await accepted;
  await connection.first(1, FrameType.HEADERS);
  const before = await arrayBufferBytes();
  for (let i = 0; i < 120; i++) {
    client.send(data(3, Buffer.alloc(1)), ...FILLER);
    await client.roundTrip();
  }
  const grown = (await arrayBufferBytes()) - before;
  t.ok(grown < 3 * MIB, `${grown} bytes`);
  t.strictSame(
    connection.frames.filter(({ type }) => type === FrameType.DATA),
    [],
  );
});
