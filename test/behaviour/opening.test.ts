import { once } from 'node:events';
import type { Destination, StreamParameters } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { Setting, settings, windowUpdate } from '../support/frame.js';
import { respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';
import { answer, answerOn, listening, requestOn, shadowed } from '../support/shadowed.js';
import { MESSAGE, METHOD } from '../support/unary.js';
import { within } from '../support/within.js';

/** A backend that gives no stream yet, and how it gives one. */
async function closedBackend(world: World) {
  const backend = await world.frameBackend((connection) => {
    connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 0]), windowUpdate(0, 2 ** 24));
  });
  const { shadow, told } = listening({ conn: world.dial(backend.port) });
  return {
    destination: shadow,
    told,
    open: async () => {
      const connection = await backend.accept();
      connection.send(settings([Setting.MAX_CONCURRENT_STREAMS, 10]));
      return connection;
    },
  };
}

const ROLES: Readonly<Record<string, (closed: Destination, open: Destination) => Partial<StreamParameters>>> =
  {
    'a secondary': (closed) => ({ secondaries: [closed] }),
    'a quorum that needs it': (closed, open) => ({ secondaries: { of: [open, closed], need: 2 } }),
    'a secondary beside a shadow': (closed, open) => ({ secondaries: [closed], shadows: [open] }),
  };

for (const [name, parametersOf] of Object.entries(ROLES)) {
  behaviour(`headers and messages pass while ${name} is being opened`, async (t, world) => {
    const closed = await closedBackend(world);
    const { port } = await world.http2Backend(answer);
    const rest = parametersOf(closed.destination, { conn: world.dial(port) });
    const { client } = await shadowed(world, rest, {
      primary: async ({ stream, body }) => {
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'x-early': '1' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.write(MESSAGE);
        await body();
        stream.end();
      },
    });
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    const begun = Promise.all([once(stream, 'response'), once(stream, 'data')]);
    stream.end(MESSAGE);
    await within(3000, 'headers and a message', begun);
    const connection = await closed.open();
    t.ok((await requestOn(connection)).equals(MESSAGE));
    answerOn(connection);
    const { headers, data, trailers } = await within(3000, 'the call', response);
    t.equal(fieldValue(headers, 'x-early'), '1');
    t.ok(data.equals(MESSAGE));
    t.equal(fieldValue(trailers, 'grpc-status'), '0');
    t.same(closed.told, []);
  });

  behaviour(`a primary that has answered while ${name} is being opened`, async (t, world) => {
    const closed = await closedBackend(world);
    const { port } = await world.http2Backend(answer);
    const rest = parametersOf(closed.destination, { conn: world.dial(port) });
    const { client } = await shadowed(world, rest, { primary: ({ stream }) => respond(stream, MESSAGE) });
    const stream = client.open(METHOD);
    const response = collectResponse(stream);
    stream.end(MESSAGE);
    await within(3000, 'a message', once(stream, 'data'));
    const connection = await closed.open();
    t.ok((await requestOn(connection)).equals(MESSAGE));
    answerOn(connection);
    const { data, trailers } = await within(3000, 'the call', response);
    t.ok(data.equals(MESSAGE));
    t.equal(fieldValue(trailers, 'grpc-status'), '0');
  });
}
