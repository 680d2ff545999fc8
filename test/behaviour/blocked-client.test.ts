import { heldBytes } from '../../lib/port/account.js';
import { behaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import { END, FrameType, headers } from '../support/frame.js';
import { respond } from '../support/http2-backend.js';
import { MESSAGE, METHOD } from '../support/unary.js';
import { Victim } from '../support/victim.js';

const MIB = 1024 * 1024;
const TRAILERS = '/test.Service/Trailers';

behaviour('large trailers for a client that reads nothing are not held without end', async (t, world) => {
  const backend = await world.http2Backend(
    ({ stream, headers }) =>
      respond(stream, MESSAGE, {
        'grpc-status': '0',
        'x-large': 'x'.repeat(headers[':path'] === METHOD ? 0 : 60_000),
      }),
    { maxSendHeaderBlockLength: 100_000 },
  );
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    limits: { maxHeldBytesPerConnection: MIB, settingsTimeoutMilliseconds: 100 },
  });
  const victim = new Victim(world, port);
  const client = await world.frameClient(port);
  await client.first(0, FrameType.SETTINGS);
  client.socket.pause();
  // More than what the kernel takes for the two sockets, and the share.
  for (let i = 0; i < 400; i++) {
    client.send(headers(2 * i + 1, requestTo(TRAILERS), END));
    if (i % 20 === 19) await new Promise((resolve) => setImmediate(resolve));
  }
  t.same(await victim.stop(), []);
  await eventually(`the share is kept (${heldBytes()} held)`, () => heldBytes() <= MIB);
  client.destroy();
  await eventually('nothing is held', () => heldBytes() === 0);
});
