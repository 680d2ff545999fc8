import { PREFIX_LENGTH } from '../../lib/grpc/framing.js';
import { encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { RESPONSE, requestTo, TRAILERS } from '../support/fields.js';
import { data, END, ErrorCode, Flag, FrameType, headers, resetStream, Setting } from '../support/frame.js';
import { within } from '../support/within.js';

const FRAME = Buffer.alloc(16_000, 'x');
/** More than is passed on to a client that takes nothing, and less than the window that a backend has. */
const MESSAGE = encodeMessage(Buffer.alloc(10 * FRAME.length - PREFIX_LENGTH));

behaviour('a call cancelled with its whole answer unread lets its connection close', async (t, world) => {
  const backend = await world.frameBackend(async (connection) => {
    await connection.exchangePrefaces();
    await connection.until(() => connection.hasEnded(1));
    const frames = Array.from({ length: 10 }, (_, i) =>
      data(1, MESSAGE.subarray(i * FRAME.length, (i + 1) * FRAME.length)),
    );
    connection.send(headers(1, RESPONSE), ...frames, headers(1, TRAILERS, END));
  });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }));
  const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  client.send(headers(1, requestTo('/test.Service/Call')), data(1, '', Flag.END_STREAM));
  await within(15_000, 'the response headers', client.first(1, FrameType.HEADERS));
  const connection = await backend.accept();
  await within(15_000, 'the answer to be taken', connection.roundTrip());
  client.send(resetStream(1, ErrorCode.CANCEL));
  await within(15_000, 'the reset to be taken', client.roundTrip());
  await within(15_000, 'the connection to close', conn.close());
  t.pass();
});
