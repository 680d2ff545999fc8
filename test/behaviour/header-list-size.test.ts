import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { requestTo } from '../support/fields.js';
import { data, ErrorCode, Flag, FrameType, headers, Setting } from '../support/frame.js';
import { respond } from '../support/http2-backend.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { Victim } from '../support/victim.js';

/** What peers here take of a header list. */
const MOST = 8192;
const HOLD = '/test.Service/Hold';

/** A proxy that takes larger header lists than its backend. */
async function proxyToSmall(world: World) {
  const running = deferred<() => void>();
  let requests = 0;
  const backend = await world.http2Backend(
    ({ stream, headers }) => {
      requests++;
      if (headers[':path'] === HOLD) running.resolve(() => respond(stream, MESSAGE));
      else respond(stream, MESSAGE);
    },
    { settings: { maxHeaderListSize: MOST } },
  );
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    limits: { maxHeaderListBytes: 200_000 },
  });
  return { port, backend, running: running.promise, requests: () => requests };
}

for (const kilobytes of [12, 40, 56]) {
  behaviour(
    `${kilobytes} KiB of metadata for a backend that takes 8 fail their call alone`,
    async (t, world) => {
      const { port, backend, running, requests } = await proxyToSmall(world);
      const victim = new Victim(world, port);
      const client = world.http2Client(port);
      const held = client.call(HOLD, MESSAGE);
      const finish = await running;

      const fields = Object.fromEntries(
        Array.from({ length: kilobytes / 4 }, (_, i) => [`x-large-${i}`, 'x'.repeat(4096)]),
      );
      for (let i = 0; i < 3; i++) {
        const before = requests();
        const response = await client.call('/test.Service/Large', MESSAGE, fields);
        t.equal(status(response), '8');
        t.match(message(response), /a header list of \d+ (bytes|octets), .*8192/);
        t.ok(requests() >= before);
      }
      finish();
      t.equal(status(await held), '0', 'a neighbour goes on');
      t.same(await victim.stop(), []);
      t.equal(backend.sessions.length, 1);
    },
  );
}

for (const where of ['headers', 'trailers', 'an error'] as const) {
  behaviour(`${where} that are too large for the client fail their call alone`, async (t, world) => {
    const large = { 'x-large': 'x'.repeat(12_000) };
    const running = deferred<() => void>();
    const backend = await world.http2Backend(({ stream, headers }) => {
      if (headers[':path'] === HOLD) running.resolve(() => respond(stream, MESSAGE));
      else if (headers[':path'] === METHOD) respond(stream, MESSAGE);
      else if (where === 'an error')
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', ...large },
          { endStream: true },
        );
      else
        respond(
          stream,
          MESSAGE,
          { 'grpc-status': '0', ...(where === 'trailers' && large) },
          where === 'headers' ? large : {},
        );
    });
    const conn = world.dial(backend.port);
    const { port } = await world.proxy(() => ({ primary: { conn } }));
    const victim = new Victim(world, port);
    const client = await world.frameClient(port, [Setting.MAX_HEADER_LIST_SIZE, MOST]);
    const call = (id: number, path: string) =>
      client.send(headers(id, requestTo(path)), data(id, MESSAGE, Flag.END_STREAM));
    call(1, HOLD);
    const finish = await running.promise;
    call(3, '/test.Service/Large');
    await client.until(() => client.hasEnded(3) || client.of(3, FrameType.RST_STREAM).length > 0);
    const reset = client.of(3, FrameType.RST_STREAM)[0];
    if (reset !== undefined) t.equal(reset.payload.readUInt32BE(), ErrorCode.ENHANCE_YOUR_CALM);
    else t.match(await client.nextHeaders(3), ['grpc-status', '8']);
    finish();
    await client.until(() => client.hasEnded(1));
    t.same(await victim.stop(), []);
    t.equal(client.isClosed, false);
    t.equal(backend.sessions.length, 1);
  });
}
